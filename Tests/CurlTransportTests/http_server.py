"""The servers that CurlTransport is tested against.

    http_server.py CERTIFICATES LOG [--http2]

Makes certificates in the folder CERTIFICATES with the openssl program unless they are there, starts HTTP/1.1
servers (and nghttpd for HTTP/2, with its log in the file LOG) on 127.0.0.1, prints one line of JSON with their
ports, and runs until its standard input ends. Every request is counted by its path, so that a test can ask what
really arrived.
"""

import fcntl
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse


class Record:
    """Counts of requests by path, of connections, and of stalled requests that the client gave up."""

    def __init__(self):
        self.changed = threading.Condition()
        self.counts = {}

    def note(self, key):
        with self.changed:
            self.counts[key] = self.counts.get(key, 0) + 1
            self.changed.notify_all()

    def wait(self, key, count):
        with self.changed:
            return self.changed.wait_for(lambda: self.counts.get(key, 0) >= count, timeout=90)

    def copy(self):
        with self.changed:
            return dict(self.counts)


record = Record()
http2 = None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen_on_connection = 0

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def raw(self, text):
        self.wfile.write(text)
        self.close_connection = True

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.seen_on_connection += 1
        record.note(parts.path)
        words = parts.path.strip("/").split("/")
        page = getattr(self, "page_" + words[0].replace("-", "_"), None)
        if page is None:
            self.answer(404, b"no such page")
        else:
            page(body, words[1:], query)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    # What arrived, told back.
    def page_echo(self, body, words, query):
        self.answer(200, body, [("X-Method", self.command), ("Content-Type", "application/octet-stream")])

    def page_inspect(self, body, words, query):
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": [[name, value.encode("latin-1").decode("utf-8")] for name, value in self.headers.items()],
            "length": len(body),
        }
        self.answer(200, json.dumps(seen).encode())

    def page_status(self, body, words, query):
        self.answer(int(words[0]), b"as asked")

    def page_bytes(self, body, words, query):
        self.answer(200, b"b" * int(words[0]))

    def page_chunked(self, body, words, query):
        self.send_response_only(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Late")
        self.end_headers()
        left = int(words[0])
        while left > 0:
            part = min(left, 1000)
            self.wfile.write(b"%x\r\n%s\r\n" % (part, b"c" * part))
            left -= part
        self.wfile.write(b"0\r\nX-Late: trailer\r\n\r\n")

    def page_redirect(self, body, words, query):
        self.answer(302, b"", [("Location", "/target")])

    def page_cookie(self, body, words, query):
        self.answer(200, b"", [("Set-Cookie", "id=1; Path=/")])

    # Answers with oddities.
    def page_interim(self, body, words, query):
        self.raw(
            b"HTTP/1.1 103 Early Hints\r\nX-Hint: early\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n  two\r\nX-EMPTY:\r\nContent-Length: 2\r\n\r\nok"
        )

    def page_many_headers(self, body, words, query):
        self.raw(b"HTTP/1.1 200 OK\r\n" + b"X-More: %s\r\n" % (b"h" * 1000) * 100 + b"Content-Length: 0\r\n\r\n")

    def page_garbage(self, body, words, query):
        self.raw(b"220 mail.example ESMTP ready\r\n")

    def page_partial(self, body, words, query):
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")

    # Answers that never come.
    def page_stall(self, body, words, query):
        try:
            self.rfile.read(1)
        except OSError:
            pass
        record.note("gone:/stall")
        self.close_connection = True

    def page_close(self, body, words, query):
        self.close_connection = True

    def page_fragile(self, body, words, query):
        if self.seen_on_connection > 1:
            self.close_connection = True
        else:
            self.answer(200, b"first on its connection")

    # For the test itself.
    def page_await(self, body, words, query):
        arrived = record.wait(query["key"], int(query["count"]))
        self.answer(200 if arrived else 504, b"")

    def page_counts(self, body, words, query):
        self.answer(200, json.dumps(record.copy()).encode())

    def page_http2(self, body, words, query):
        http2.send_signal({"pause": signal.SIGSTOP, "go-on": signal.SIGCONT, "kill": signal.SIGKILL}[words[0]])
        if words[0] == "kill":
            http2.wait()
        if words[0] == "pause":
            while open(f"/proc/{http2.pid}/stat").read().split()[2] != "T":
                time.sleep(0.001)
        self.answer(200, b"")


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = context
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, address):
        record.note("connection")
        if self.context is None:
            return super().finish_request(request, address)
        request.settimeout(60)
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        request.settimeout(None)
        try:
            super().finish_request(request, address)
        finally:
            request.close()

    def handle_error(self, request, address):
        pass


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def make_authority(folder, name):
    openssl("req", "-x509", *KEY, "-days", "2", "-subj", f"/CN={name}",
            "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")


def make_certificate(folder, authority, name, alternatives):
    openssl("req", *KEY, "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr")
    with open(f"{folder}/{name}.ext", "w") as file:
        file.write(f"subjectAltName={alternatives}\n")
    openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/{authority}.pem",
            "-CAkey", f"{folder}/{authority}.key", "-CAcreateserial", "-days", "2",
            "-extfile", f"{folder}/{name}.ext", "-out", f"{folder}/{name}.pem")


def make_certificates(folder):
    """Servers of one test run share their certificates; the first one makes them, the others wait for it."""
    with open(f"{folder}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(f"{folder}/complete"):
            return
        make_authority(folder, "authority")
        make_authority(folder, "stranger")
        make_certificate(folder, "authority", "localhost", "DNS:localhost,IP:127.0.0.1")
        make_certificate(folder, "authority", "elsewhere.test", "DNS:elsewhere.test")
        os.makedirs(f"{folder}/htdocs")
        with open(f"{folder}/htdocs/hello", "w") as file:
            file.write("hello over HTTP/2\n")
        open(f"{folder}/complete", "w").close()


def context(folder, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
    return context


def bound():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def start_http2(folder, log_file):
    """Starts nghttpd, which takes no port 0: a port that was free a moment ago is tried until one works."""
    global http2
    for _ in range(20):
        with bound() as free:
            port = free.getsockname()[1]
        with open(log_file, "w") as log:
            http2 = subprocess.Popen(
                ["nghttpd", "-v", "--no-content-length", "--echo-upload", "-m", "1000", "-a", "127.0.0.1",
                 "-d", f"{folder}/htdocs", str(port), f"{folder}/localhost.key", f"{folder}/localhost.pem"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while http2.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                return port
            except OSError:
                time.sleep(0.01)
    sys.exit("nghttpd does not start")


def main():
    folder = sys.argv[1]
    make_certificates(folder)
    refusing = bound()
    mute = bound()
    mute.listen(16)
    ports = {
        "plain": Server().server_port,
        "tls": Server(context(folder, "localhost")).server_port,
        "elsewhere": Server(context(folder, "elsewhere.test")).server_port,
        "refusing": refusing.getsockname()[1],
        "mute": mute.getsockname()[1],
        "http2": start_http2(folder, sys.argv[2]) if "--http2" in sys.argv else 0,
    }
    print(json.dumps(ports), flush=True)
    sys.stdin.buffer.read()
    if http2:
        http2.kill()
        http2.wait()
    # Stalled handlers are not waited for.
    os._exit(0)


main()
