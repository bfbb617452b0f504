"""Tracking tokens as Sources/Attribution/TrackingToken.swift makes them, in a few lines of another language."""

import base64
import hashlib
import hmac
import urllib.parse

DIGITS = "-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
PURPOSES = {"open": 1, "click": 2, "unsubscribe": 3}


def mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def packed(decision: str) -> bytes:
    number = 0
    for character in decision:
        number = number * 67 + DIGITS.index(character) + 1
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def token(key: int, secret: bytes, purpose: str, decision: str, attempt: int = 1, link: int = 0, url: str = "") -> str:
    reference = bytes([PURPOSES[purpose], attempt, link]) + packed(decision)
    seal, stream = (mac(secret, f"martlet tracking/{name}".encode()) for name in ("seal", "stream"))
    tag = mac(seal, bytes([len(reference)]) + reference + url.encode())[:12]
    mask = b"".join(mac(stream, tag + bytes([block])) for block in range(2))
    sealed = bytes(a ^ b for a, b in zip(reference, mask))
    return base64.urlsafe_b64encode(bytes([key]) + tag + sealed).decode().rstrip("=")


def path(key: int, secret: bytes, purpose: str, decision: str, url: str = "") -> str:
    made = token(key, secret, purpose, decision, url=url)
    if purpose == "click":
        return f"/c/{made}?u={urllib.parse.quote(url, safe='-._~/:')}"
    return f"/{purpose[0]}/{made}"
