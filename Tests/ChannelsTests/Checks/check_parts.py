"""Prints the parts of one mail, as Python's email package sees them."""
import email
import email.policy
import sys


def show(part, depth=0):
    if part.defects:
        print("defects", part.defects)
    line = " " * depth + part.get_content_type()
    if part.is_multipart():
        print(line)
        for child in part.iter_parts():
            show(child, depth + 1)
    elif part.get_content_disposition():
        content = part.get_payload(decode=True)
        print(line, part.get_content_disposition(), part["Content-ID"], repr(part.get_filename()), len(content))
    else:
        print(line, repr(part.get_content().replace("\r\n", "\n")))


show(email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP))
