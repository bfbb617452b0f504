"""Runs docs/examples/rewards.py against a private redis-server that holds the rewards of standard input."""
import binascii
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import redis

EXAMPLE = pathlib.Path(sys.argv[1]) / "docs" / "examples" / "rewards.py"
SHARDS = 4


def example(url, *arguments):
    return subprocess.run([sys.executable, EXAMPLE, *arguments], env={**os.environ, "MARTLET_REDIS_URL": url},
                          capture_output=True, text=True, timeout=60)


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
    client = redis.Redis.from_url(url, decode_responses=True)
    wait_until_up(client)
    print("without layout:", example(url, "follow", "--once").returncode)
    client.hset("martlet:layout", mapping={"version": 1, "shards": SHARDS})
    streams = {shard: f"martlet:{{{shard}}}:rewards" for shard in range(SHARDS)}
    for line in sys.stdin.buffer.read().splitlines():
        shard = binascii.crc_hqx(json.loads(line)["user"].encode(), 0) % SHARDS
        client.xadd(streams[shard], {"reward": line})
    # A consumer of that name was given some and died before it had counted them.
    left = 0
    for stream in streams.values():
        client.xgroup_create(stream, "example", id="0", mkstream=True)
    for stream in streams.values():
        for _, entries in client.xreadgroup("example", "one", {stream: ">"}, count=3 - left) if left < 3 else []:
            left += len(entries)
    print(f"stopped half-way: {left} are not acknowledged")
    print("followed:", example(url, "follow", "--once", "--name", "one").returncode)
    print("followed again:", example(url, "follow", "--once", "--name", "one").returncode)
    print(example(url, "arms").stdout, end="")
    print("pending:", sum(client.xpending(stream, "example")["pending"] for stream in streams.values()))


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
