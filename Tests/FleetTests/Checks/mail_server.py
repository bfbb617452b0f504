"""A mail server of aiosmtpd that reads each mail with Python's email package and writes what it found as a line of JSON."""
import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


class Reader:
    def __init__(self, path):
        self.path = path

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [part for part in mail.walk() if not part.is_multipart()]
        found = {
            "subject": mail["subject"], "from": mail["from"], "to": mail["to"],
            "envelope_from": envelope.mail_from, "envelope_to": envelope.rcpt_tos,
            "headers": list(mail.keys()),
            "defects": [str(defect) for part in mail.walk() for defect in part.defects]
            + [str(defect) for value in mail.values() for defect in value.defects],
            "parts": [
                {"type": part.get_content_type(), "charset": part.get_content_charset(), "text": part.get_content()}
                for part in parts
            ],
            "line_max": max(map(len, envelope.content.split(b"\r\n"))),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(found, ensure_ascii=False) + "\n")
        return "250 2.0.0 OK"


async def main():
    reader = Reader(sys.argv[1])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(reader, enable_SMTPUTF8=True), "127.0.0.1", 0)
    print("listening on", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
