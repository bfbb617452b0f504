#!/usr/bin/env python3
"""Hands decisions to Martlet with nothing but a Redis client, and shows those that it could not take.

    pip install redis
    python3 producer.py send decisions.ndjson        # or "-" for standard input
    python3 producer.py rejects
    python3 producer.py shard u-42

The server is that of MARTLET_REDIS_URL or --url (rediss:// for TLS); --cluster speaks to a Redis Cluster.
Sending the same file again is safe: a decision's id is its idempotency key.
"""
import argparse
import binascii
import collections
import json
import os
import sys

import redis
from redis.cluster import RedisCluster

URL_DEFAULT = "redis://127.0.0.1:6379/0"
# How many entries are appended in one round trip.
BATCH = 500


def shard_of(user_id, shards):
    """The shard of a user: CRC16-XMODEM of the id in UTF-8, the CRC of Redis Cluster."""
    return binascii.crc_hqx(user_id.encode("utf-8"), 0) % shards


def stream(shard, name):
    # The braces are a cluster hash tag: all keys of a shard live in one slot.
    return f"martlet:{{{shard}}}:{name}"


def read_layout(client):
    """How many shards the fleet has."""
    layout = client.hgetall("martlet:layout")
    if b"shards" not in layout:
        sys.exit("error: there is no martlet:layout on this server; start the fleet once, then send again")
    if layout.get(b"version") != b"1":
        sys.exit(f"error: this producer knows layout 1, the fleet has {layout.get(b'version', b'none').decode()}")
    return int(layout[b"shards"])


def shard_for(line, shards):
    """The shard for one line. What cannot be read goes to shard 0: Martlet rejects it with a reason."""
    try:
        return shard_of(json.loads(line)["user"]["id"], shards)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0


def send(client, arguments):
    shards = read_layout(client)
    counts = collections.Counter()
    source = sys.stdin.buffer if arguments.file == "-" else open(arguments.file, "rb")
    with source:
        pipeline = client.pipeline(transaction=False)
        for line in source:
            line = line.strip()
            if not line:
                continue
            shard = shard_for(line, shards)
            pipeline.xadd(stream(shard, "decisions"), {"decision": line})
            counts[shard] += 1
            if len(pipeline) >= BATCH:
                pipeline.execute()
        pipeline.execute()
    print(f"sent {sum(counts.values())} decisions to {len(counts)} of {shards} shards")


def rejects(client, arguments):
    shards = read_layout(client)
    shown = 0
    for shard in range(shards):
        for entry, fields in client.xrevrange(stream(shard, "rejects"), count=arguments.limit):
            texts = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
            place = texts.get("pointer") or "(the whole decision)"
            print(f"{texts.get('at', '')}  {texts.get('code', ''):22}  {place}")
            print(f"    {texts.get('detail', '')}")
            for problem in json.loads(texts.get("more", "[]")):
                print(f"    also {problem['code']} at {problem['pointer']}: {problem['detail']}")
            print(f"    {stream(shard, 'rejects')} {entry.decode()}: {texts.get('decision', '')[:100]}")
            shown += 1
    print(f"{shown} rejected" if shown else "nothing was rejected")


def show_shard(client, arguments):
    shards = read_layout(client)
    shard = shard_of(arguments.user, shards)
    print(f"{arguments.user}: shard {shard} of {shards}, stream {stream(shard, 'decisions')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("MARTLET_REDIS_URL", URL_DEFAULT), help="the Redis server")
    parser.add_argument("--cluster", action="store_true", help="the server is part of a Redis Cluster")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("send", help="append decisions, one a line")
    command.add_argument("file", help="a file of one decision a line, or - for standard input")
    command.set_defaults(run=send)
    command = commands.add_parser("rejects", help="show what could not be taken, and why")
    command.add_argument("--limit", type=int, default=100, help="at most so many of each shard (default: 100)")
    command.set_defaults(run=rejects)
    command = commands.add_parser("shard", help="show where a user's decisions go")
    command.add_argument("user", help="the user's id")
    command.set_defaults(run=show_shard)
    arguments = parser.parse_args()
    connect = RedisCluster.from_url if arguments.cluster else redis.Redis.from_url
    try:
        arguments.run(connect(arguments.url), arguments)
    except redis.exceptions.RedisError as error:
        # The URL may hold a password: it is not shown.
        sys.exit(f"error: Redis: {error}")
    except OSError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
