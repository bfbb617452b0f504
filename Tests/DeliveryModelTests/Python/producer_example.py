"""Runs docs/examples/producer.py against a private redis-server and writes what it left there.

For each appended entry one line: the shard and the user's id, or `-` where the line cannot be read.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import redis

REPOSITORY = pathlib.Path(sys.argv[1])


def producer(url, *arguments):
    return subprocess.run(
        [sys.executable, REPOSITORY / "docs" / "examples" / "producer.py", *arguments],
        env={**os.environ, "MARTLET_REDIS_URL": url}, capture_output=True, text=True, timeout=60,
    )


def wait_until_up(client):
    deadline = time.monotonic() + 20
    while True:
        try:
            return client.ping()
        except redis.exceptions.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def main(url):
    client = redis.Redis.from_url(url)
    wait_until_up(client)
    demo = str(REPOSITORY / "loadtests" / "decisions" / "demo.ndjson")
    early = producer(url, "send", demo)
    print("without layout:", early.returncode, early.stderr.strip())
    client.hset("martlet:layout", mapping={"version": 1, "shards": 16})
    sent = producer(url, "send", demo)
    print("sent:", sent.returncode, sent.stdout.strip())
    more = [{"code": "field.missing", "pointer": "/id", "detail": "The field is required."}]
    client.xadd("martlet:{3}:rejects", {
        "code": "field.unknown", "pointer": "/x", "detail": "Leave it out.", "decision": "{}",
        "at": "2026-11-21T18:00:00.000Z", "more": json.dumps(more),
    })
    listed = producer(url, "rejects")
    print("rejects:", listed.returncode, " ".join(listed.stdout.split()))
    for shard in range(16):
        for _, fields in client.xrange(f"martlet:{{{shard}}}:decisions"):
            try:
                print(shard, json.loads(fields[b"decision"])["user"]["id"])
            except (ValueError, TypeError, KeyError):
                print(shard, "-")


with tempfile.TemporaryDirectory() as folder:
    socket = f"{folder}/redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        main(f"unix://{socket}")
    finally:
        # Not SIGTERM: a child of the tests' process inherits signals that are blocked.
        server.kill()
        server.wait()
