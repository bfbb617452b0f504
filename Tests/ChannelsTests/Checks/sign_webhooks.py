"""Signs webhooks as providers do, with other people's implementations of HMAC, JWT, ECDSA and RSA.

    sign_webhooks.py NOW            requests of all providers, one JSON object a line: provider, env, method, url, headers, body
    sign_webhooks.py twilio SECRET URL < form    the header of one request
    sign_webhooks.py sendgrid-key                a key: private in hexadecimal digits, public as SendGrid shows it
    sign_webhooks.py sendgrid PRIVATE TIME < body
"""
import base64, datetime, hashlib, hmac, json, sys, urllib.parse

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

BASE = "https://martlet.example.com/v1/webhooks/"


def b64(raw):
    return base64.b64encode(raw).decode()


def twilio(secret, url, form):
    fields = urllib.parse.parse_qs(form, keep_blank_values=True)
    text = url + "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    return b64(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest())


def sendgrid(key, time, body):
    return b64(key.sign(time.encode() + body.encode(), ec.ECDSA(hashes.SHA256())))


def public(key):
    return b64(key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def show(provider, env, headers, body, method="POST", query="", host=BASE, **more):
    url = host + provider + query
    print(json.dumps(dict(
        provider=provider, env=env, method=method, url=url, headers=headers, body=body, **more)))


def claims(now, body=None, url=None, **more):
    made = dict(iat=now, jti="1", **more)
    if body is not None:
        made["payload_hash"] = hashlib.sha256(body.encode()).hexdigest()
    if url is not None:
        made["url_hash"] = hashlib.sha256(url.encode()).hexdigest()
    return made


def sns(now, version, names=("sns.amazonaws.com",), age=0, more=None, message=None, days=30):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    today = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=60)).not_valid_after(today + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        .sign(key, hashes.SHA256()))
    sent = {
        "Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mail",
        "Subject": "Amazon SES Email Event Notification", "Message": message or "{}",
        "Timestamp": datetime.datetime.fromtimestamp(now - age, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": version, "SigningCertURL": f"https://sns.eu-west-1.amazonaws.com/Simple-{version}.pem",
        **(more or {})}
    signed = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if sent["Type"] != "Notification":
        signed.remove("Subject")
    text = "".join(f"{name}\n{sent[name]}\n" for name in signed if name in sent)
    digest = hashes.SHA1() if version == "1" else hashes.SHA256()
    sent["Signature"] = b64(key.sign(text.encode(), padding.PKCS1v15(), digest))
    return json.dumps(sent), certificate.public_bytes(serialization.Encoding.PEM).decode()


def everything(now):
    mail = "00112233445566778899aabbccddeeff@example.com"
    env = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "12345678901234567890123456789012"}
    form = "ErrorCode=30005&MessageSid=SM1&MessageStatus=undelivered&To=%2B48600100200&From=%2B15005550006&A=b&A=a&A=b"
    show("twilio", env, {"X-Twilio-Signature": twilio(env["TWILIO_AUTH_TOKEN"], BASE + "twilio", form)}, form,
         receipts=["failed SM1 dead"])
    words = "From=%2B48600100201&Body=Stop%21&MessageSid=SM2&SmsStatus=received"
    # With the port that goes without saying, as Twilio does at times.
    port = BASE.replace("example.com", "example.com:443") + "twilio"
    show("twilio", env, {"X-Twilio-Signature": twilio(env["TWILIO_AUTH_TOKEN"], port, words)}, words,
         words=["+48600100201 no sms.reply"])
    body = '{"MessageSid":"SM3","MessageStatus":"delivered"}'
    query = "?bodySHA256=" + hashlib.sha256(body.encode()).hexdigest()
    show("twilio", env, {"X-Twilio-Signature": twilio(env["TWILIO_AUTH_TOKEN"], BASE + "twilio" + query, "")}, body,
         query=query, kept=1)

    env = {"VONAGE_API_KEY": "k", "VONAGE_API_SECRET": "s", "VONAGE_SIGNATURE_SECRET": "a" * 32}
    body = '{"msisdn":"48600100200","messageId":"0A01","status":"delivered","err-code":"0"}'
    token = jwt.encode(claims(now, body, iss="Vonage", api_key="k"), env["VONAGE_SIGNATURE_SECRET"], "HS256")
    show("vonage", env, {"Authorization": "Bearer " + token}, body, receipts=["delivered 0A01"])

    env = {"MESSAGEBIRD_ACCESS_KEY": "k", "MESSAGEBIRD_SIGNING_KEY": "b" * 32}
    query = "?id=mb1&recipient=48600100200&status=delivery_failed&statusErrorCode=1"
    token = jwt.encode(
        claims(now, url=BASE + "messagebird" + query, iss="MessageBird", nbf=now, exp=now + 60),
        env["MESSAGEBIRD_SIGNING_KEY"], "HS256")
    show("messagebird", env, {"MessageBird-Signature-JWT": token}, "", method="GET", query=query,
         receipts=["failed mb1 dead"])

    env = {"SINCH_SERVICE_PLAN_ID": "p", "SINCH_API_TOKEN": "t", "SINCH_WEBHOOK_SECRET": "s3cret"}
    body = '{"type":"mo_text","id":"1","from":"48600100202","to":"12345","body":"start"}'
    code = hmac.new(b"s3cret", f"{body}.n0nce.{now}".encode(), hashlib.sha256).digest()
    show("sinch", env, {
        "x-sinch-webhook-signature": b64(code), "x-sinch-webhook-signature-nonce": "n0nce",
        "x-sinch-webhook-signature-timestamp": str(now)}, body, words=["+48600100202 yes sms.reply"])

    env = {"INFOBIP_API_KEY": "k", "INFOBIP_WEBHOOK_PASSWORD": "pässword"}
    body = '{"results":[{"messageId":"ib1","status":{"groupName":"DELIVERED"},"error":{"id":0}},{"messageId":"ib2","status":{"groupName":"EXPIRED"},"error":{"id":0}}]}'
    show("infobip", env, {"Authorization": "Basic " + b64("martlet:pässword".encode())}, body, isBodyFree=True,
         receipts=["delivered ib1", "failed ib2"])

    key = ec.generate_private_key(ec.SECP256R1())
    env = {"SENDGRID_API_KEY": "k", "SENDGRID_WEBHOOK_KEY": public(key)}
    body = json.dumps([
        {"email": "ada@example.com", "timestamp": now, "smtp-id": f"<{mail}>", "event": "bounce", "type": "bounce",
         "bounce_classification": "Invalid Address", "status": "5.1.1", "reason": "550 5.1.1 no", "sg_event_id": "e1"},
        {"email": "ada@example.com", "timestamp": now, "smtp-id": f"<{mail}>", "event": "delivered", "sg_event_id": "e2"},
        {"email": "ada@example.com", "timestamp": now, "smtp-id": f"<{mail}>", "event": "bounce", "type": "blocked",
         "sg_event_id": "e3"},
        {"email": "Bob@Example.com", "timestamp": now, "event": "group_unsubscribe", "sg_event_id": "e4"},
        {"email": "ada@example.com", "timestamp": now, "event": "open", "sg_event_id": "e5"}]) + "\r\n"
    show("sendgrid", env, {
        "X-Twilio-Email-Event-Webhook-Signature": sendgrid(key, str(now), body),
        "X-Twilio-Email-Event-Webhook-Timestamp": str(now)}, body,
        receipts=[f"failed {mail} dead", f"delivered {mail}", f"failed {mail}"],
        words=["bob@example.com no email.unsubscribed"])

    env = {"MAILGUN_SMTP_USER": "u", "MAILGUN_SMTP_PASSWORD": "p", "MAILGUN_SIGNING_KEY": "key-1"}
    token = "50" * 25
    body = json.dumps({
        "signature": {"timestamp": str(now), "token": token,
                      "signature": hmac.new(b"key-1", f"{now}{token}".encode(), hashlib.sha256).hexdigest()},
        "event-data": {"event": "failed", "severity": "permanent", "reason": "bounce", "id": "mg1", "timestamp": now + 0.5,
                       "recipient": "ada@example.com", "delivery-status": {"code": 550, "enhanced-code": "5.1.1"},
                       "message": {"headers": {"message-id": mail}}}})
    show("mailgun", env, {}, body, isBodyFree=True, replay=True, receipts=[f"failed {mail} dead"])

    env = {"POSTMARK_TOKEN": "k", "POSTMARK_WEBHOOK_PASSWORD": "w"}
    body = json.dumps({"RecordType": "SpamComplaint", "Type": "SpamComplaint", "ID": 42, "Email": "ada@example.com",
                       "MessageID": "883953f4", "Metadata": {"martlet-id": mail}})
    show("postmark", env, {"Authorization": "Basic " + b64(b"martlet:w")}, body, isBodyFree=True,
         receipts=[f"complained {mail}"])

    env = {"SES_SMTP_USER": "u", "SES_SMTP_PASSWORD": "p", "SES_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:mail"}
    event = json.dumps({
        "eventType": "Bounce", "mail": {"messageId": "0102", "commonHeaders": {"messageId": f"<{mail}>"}},
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "ada@example.com"}]}})
    for version in ["1", "2"]:
        body, pem = sns(now, version, message=event)
        show("ses", env, {}, body, certificate=pem, receipts=[f"failed {mail} dead"])
    body, pem = sns(now, "1", more={
        "Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=x"})
    show("ses", env, {}, body, certificate=pem, subscribes=True)
    for more in [
        dict(more={"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"}),
        dict(more={"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem"}),
        dict(more={"TopicArn": "arn:aws:sns:eu-west-1:999999999999:mail"}), dict(age=100_000), dict(days=-1),
        dict(names=("sns.example.com",)),
    ]:
        body, pem = sns(now, "2", message=event, **more)
        show("ses", env, {}, body, certificate=pem, isForged=True)


def main():
    arguments = sys.argv[1:]
    if arguments[0] == "twilio":
        print(twilio(arguments[1], arguments[2], sys.stdin.read()))
    elif arguments[0] == "sendgrid-key":
        key = ec.generate_private_key(ec.SECP256R1())
        print(hex(key.private_numbers().private_value)[2:], public(key))
    elif arguments[0] == "sendgrid":
        print(sendgrid(ec.derive_private_key(int(arguments[1], 16), ec.SECP256R1()), arguments[2], sys.stdin.read()))
    else:
        everything(int(arguments[0]))


main()
