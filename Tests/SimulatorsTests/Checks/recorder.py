"""An HTTP/1.1 server that writes down each request, one JSON object on a line, and answers as a tracker would.

usage: recorder.py FILE: it writes the port into FILE.port and requests into FILE.
"""
import asyncio
import json
import os
import sys

path = sys.argv[1]
log = open(path, "w", buffering=1 << 16)
page = b'<p>Sure?</p><form method="post"><input type=hidden name=reason value="a &amp; b"><button name=go value=1>Yes</button></form>'


class Recorder(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while True:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            method, target, _ = lines[0].split(" ")
            log.write(json.dumps({"method": method, "target": target, "headers": headers,
                                  "body": body.decode(), "connection": id(self.transport)}) + "\n")
            self.transport.write(self.answer(method, target))

    def answer(self, method, target):
        if target.startswith("/c/"):
            return b"HTTP/1.1 302 Found\r\nLocation: https://shop.example.com/\r\nContent-Length: 0\r\n\r\n"
        body = page if target.startswith("/u/") and method == "GET" else b"ok"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        return head if method == "HEAD" else head + body


async def main():
    server = await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 0, backlog=1024)
    with open(path + ".new", "w") as file:
        file.write(str(server.sockets[0].getsockname()[1]))
    os.rename(path + ".new", path + ".port")
    while True:
        await asyncio.sleep(0.05)
        log.flush()


asyncio.run(main())
