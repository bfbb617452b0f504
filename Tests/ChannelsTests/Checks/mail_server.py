"""aiosmtpd on a free port: prints the port, then one JSON object a mail. `ascii` as argument: without SMTPUTF8."""
import asyncio
import base64
import json
import sys

from aiosmtpd.smtp import SMTP


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "options": envelope.mail_options,
                    "mail": base64.b64encode(envelope.original_content).decode(),
                }
            ),
            flush=True,
        )
        return "250 2.0.0 queued"


async def main():
    takes_utf8 = sys.argv[1:] != ["ascii"]
    make = lambda: SMTP(Handler(), enable_SMTPUTF8=takes_utf8, hostname="aiosmtpd.test")
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
