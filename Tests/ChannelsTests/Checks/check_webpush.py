"""Reads what was sent to browsers with http_ece, and checks VAPID with py_vapid and PyJWT.

In:  {"private_key", "auth", "messages": [{"body", "authorization", "audience"}]}, bytes in base64url.
Out: {"texts": [...], "claims": [...]}
"""
import base64
import json
import sys

import http_ece
import jwt
import py_vapid
from cryptography.hazmat.primitives.asymmetric import ec


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


case = json.load(sys.stdin)
key = ec.derive_private_key(int.from_bytes(decoded(case["private_key"]), "big"), ec.SECP256R1())
texts, claims = [], []
for message in case["messages"]:
    plain = http_ece.decrypt(
        decoded(message["body"]), private_key=key, auth_secret=decoded(case["auth"]), version="aes128gcm")
    texts.append(plain.decode())
    if "authorization" in message:
        assert py_vapid.Vapid02.verify(message["authorization"]), "py_vapid does not take the header"
        fields = dict(part.split("=", 1) for part in message["authorization"].split(" ", 1)[1].split(","))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(fields["k"]))
        claims.append(jwt.decode(
            fields["t"], public, algorithms=["ES256"], audience=message["audience"], options={"verify_exp": False}))
print(json.dumps({"texts": texts, "claims": claims}))
