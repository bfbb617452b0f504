"""Parses mails with Python's email package and says what differs from what was meant.

Reads one JSON object a line: the mail (base64) and what it must say. Prints one line per difference.
"""
import base64
import email
import email.header
import email.policy
import email.utils
import json
import sys


def display_name(raw):
    """The older parser's view: the newer one puts blanks between encoded-words of a phrase, against RFC 2047 6.2."""
    value = email.message_from_bytes(raw, policy=email.policy.compat32)["From"].replace("\r\n", "")
    name, _ = email.utils.parseaddr(value)
    return str(email.header.make_header(email.header.decode_header(name)))


def differences(case):
    raw = base64.b64decode(case["mail"])
    for number, line in enumerate(raw.split(b"\r\n")):
        if len(line) > 998:
            yield f"line {number} has {len(line)} octets"
        if b"\r" in line or b"\n" in line:
            yield f"line {number} holds a bare CR or LF"
    head, _, _ = raw.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.startswith(b"To:") or b"@" in line:
            continue  # an address cannot be folded
        can_be_folded = b" " in line.partition(b": ")[2].strip() or (line[:1] == b" " and b" " in line.strip())
        if len(line) > (76 if b"=?" in line else 78) and can_be_folded:
            yield f"header line too long: {line!r}"
        for word in line.split(b" "):
            if word.startswith(b"=?") and len(word) > 75:
                yield f"encoded-word too long: {word!r}"
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    for part in message.walk():
        if part.defects:
            yield f"defects of {part.get_content_type()}: {part.defects!r}"
        for name, value in part.items():
            if getattr(value, "defects", ()):
                yield f"defects of {name}: {value.defects!r}"
    names = [name.lower() for name in message.keys()]
    for name in ("date", "message-id", "from", "to", "subject", "mime-version", "content-type"):
        if names.count(name) != 1:
            yield f"{name} is there {names.count(name)} times"
    expected = set(case["headers"])
    if set(names) - expected:
        yield f"headers that nobody asked for: {sorted(set(names) - expected)}"
    if message["Subject"] != case["subject"]:
        yield f"subject {message['Subject']!r} instead of {case['subject']!r}"
    sender = message["From"].addresses
    if len(sender) != 1 or display_name(raw) != case["from_name"] or sender[0].addr_spec != case["from"]:
        yield f"from {sender!r} instead of {case['from_name']!r} {case['from']!r}"
    to = message["To"].addresses
    if len(to) != 1 or to[0].addr_spec != case["to"]:
        yield f"to {to!r} instead of {case['to']!r}"
    bodies = {part.get_content_type(): part for part in message.walk() if not part.is_multipart()}
    wanted = {"text/plain": case["text"], "text/html": case["html"]}
    if set(bodies) != {kind for kind, text in wanted.items() if text is not None}:
        yield f"parts {sorted(bodies)}"
    for kind, part in bodies.items():
        content = part.get_payload(decode=True).decode("utf-8")
        meant = wanted[kind].replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        if content != meant and content != meant + "\r\n":
            yield f"{kind} differs: {content!r} instead of {meant!r}"
        encoded = part.get_payload(decode=False)
        if part["Content-Transfer-Encoding"] == "quoted-printable":
            if any(len(line) > 76 for line in encoded.splitlines()):
                yield f"{kind}: a quoted-printable line is too long"
        elif part["Content-Transfer-Encoding"] == "7bit":
            if any(len(line) > 78 or not line.isascii() for line in encoded.splitlines()):
                yield f"{kind}: not 7bit"
        if any(line.endswith((" ", "\t")) for line in encoded.splitlines()):
            yield f"{kind}: a blank at the end of a line"


def main():
    count = 0
    for line in sys.stdin:
        case = json.loads(line)
        count += 1
        for difference in differences(case):
            print(f"case {case['case']}: {difference}")
    print(f"checked {count}")


main()
