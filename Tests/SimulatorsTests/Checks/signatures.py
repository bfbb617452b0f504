"""Checks the signatures of webhooks that recorder.py wrote down, as the providers' documents describe them.

usage: signatures.py FILE BASE-URL TOKEN; prints `provider kind ok` or `provider kind wrong` for each.
"""
import base64
import hashlib
import hmac
import json
import sys
from urllib.parse import parse_qsl

import jwt

path, base, token = sys.argv[1:]


def twilio(url, request, headers, body):
    fields = dict(parse_qsl(body, keep_blank_values=True))
    text = url + "".join(name + fields[name] for name in sorted(fields))
    code = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return fields.get("MessageStatus") or fields["Body"], code == headers["x-twilio-signature"]


def vonage(url, request, headers, body):
    claims = jwt.decode(headers["authorization"].removeprefix("Bearer "), token, algorithms=["HS256"])
    message = json.loads(body)
    return message.get("status") or message["text"], claims["payload_hash"] == hashlib.sha256(body.encode()).hexdigest()


def messagebird(url, request, headers, body):
    claims = jwt.decode(headers["messagebird-signature-jwt"], token, algorithms=["HS256"], issuer="MessageBird")
    fields = dict(parse_qsl(request["target"].partition("?")[2] or body))
    good = claims["url_hash"] == hashlib.sha256(url.encode()).hexdigest()
    if body:
        good = good and claims["payload_hash"] == hashlib.sha256(body.encode()).hexdigest()
    return fields.get("status") or fields["body"], good and (request["method"] == "POST") == bool(body)


def sinch(url, request, headers, body):
    name = "x-sinch-webhook-signature"
    signed = ".".join([body, headers[name + "-nonce"], headers[name + "-timestamp"]])
    code = base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha256).digest()).decode()
    message = json.loads(body)
    return message.get("status") or message["body"], code == headers[name]


def infobip(url, request, headers, body):
    result = json.loads(body)["results"][0]
    credentials = base64.b64encode(b"martlet:" + token.encode()).decode()
    kind = result["status"]["groupName"] if "status" in result else result["text"]
    return kind, headers["authorization"] == "Basic " + credentials


for line in open(path):
    request = json.loads(line)
    name = request["target"].partition("?")[0].removeprefix("/v1/webhooks/")
    kind, good = globals()[name](base + request["target"], request, request["headers"], request["body"])
    print(name, kind, "ok" if good else "wrong")
