#!/usr/bin/env python3
"""Learns from Martlet's rewards with nothing but a Redis client: what each arm is worth, without bias.

    pip install redis
    python3 rewards.py follow            # counts rewards as they come; --once stops when there are no more
    python3 rewards.py arms

Each reward is weighted by the inverse of the probability with which its arm was chosen. A revision replaces what was
counted of its decision before; counting and acknowledging are one transaction, so that nothing counts twice or not at
all, whenever this program is stopped. The server is that of MARTLET_REDIS_URL or --url.
"""
import argparse
import collections
import json
import os
import sys

import redis

GROUP = "example"


def count(client, shard, entry, reward):
    """Counts a reward and acknowledges its entry: both, or neither."""
    counted = f"example:{{{shard}}}:counted"
    arm = reward["intended"].get("arm") or "plan"
    weight = 1 / (reward["propensity"]["arm"] or 1)
    # A provisional reward may change with every event; of a censored one nobody knows what came of it.
    counts = reward["state"] != "provisional" and reward["maturity"] == "matured"

    def replace(pipeline):
        known = json.loads(pipeline.hget(counted, reward["decision"]) or '{"revision": 0, "weight": 0, "reward": 0}')
        new = {"revision": reward["revision"], "weight": weight if counts else 0,
               "reward": weight * reward["reward"] if counts else 0}
        pipeline.multi()
        if reward["state"] != "provisional" and new["revision"] > known["revision"]:
            pipeline.hset(counted, reward["decision"], json.dumps(new))
            pipeline.hincrbyfloat(f"example:{{{shard}}}:weights", arm, new["weight"] - known["weight"])
            pipeline.hincrbyfloat(f"example:{{{shard}}}:rewards", arm, new["reward"] - known["reward"])
        pipeline.xack(f"martlet:{{{shard}}}:rewards", GROUP, entry)

    client.transaction(replace, counted)


def follow(client, arguments):
    shards = {f"martlet:{{{shard}}}:rewards": shard for shard in range(read_shards(client))}
    for stream in shards:
        try:
            client.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except redis.exceptions.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
    # First what this consumer was given before and did not get done with, then what is new.
    for start in ("0", ">"):
        wait = None if start == "0" or arguments.once else 5000
        while True:
            given = client.xreadgroup(GROUP, arguments.name, {stream: start for stream in shards}, 500, wait)
            entries = [(stream, entry, fields) for stream, list_ in given for entry, fields in list_]
            for stream, entry, fields in entries:
                if fields:
                    count(client, shards[stream], entry, json.loads(fields["reward"]))
                else:  # trimmed from the stream since
                    client.xack(stream, GROUP, entry)
            if not entries and (start == "0" or arguments.once):
                break


def show_arms(client, arguments):
    weights, rewards = collections.Counter(), collections.Counter()
    for shard in range(read_shards(client)):
        for sums, name in ((weights, "weights"), (rewards, "rewards")):
            for arm, value in client.hgetall(f"example:{{{shard}}}:{name}").items():
                sums[arm] += float(value)
    for arm in sorted(arm for arm in weights if weights[arm] > 0):
        print(f"{arm:8} {weights[arm]:.0f} decisions' worth, mean reward {rewards[arm] / weights[arm]:.4f}")


def read_shards(client):
    shards = client.hget("martlet:layout", "shards")
    return int(shards) if shards else sys.exit("error: there is no martlet:layout on this server: start the fleet once")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("MARTLET_REDIS_URL", "redis://127.0.0.1:6379/0"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("follow", help="count rewards as they come")
    command.add_argument("--once", action="store_true", help="stop when there are no more")
    command.add_argument("--name", default="one", help="of this consumer; no two of one name may run (default: one)")
    command.set_defaults(run=follow)
    commands.add_parser("arms", help="show what each arm is worth").set_defaults(run=show_arms)
    arguments = parser.parse_args()
    try:
        arguments.run(redis.Redis.from_url(arguments.url, decode_responses=True), arguments)
    except redis.exceptions.RedisError as error:
        # The URL may hold a password: it is not shown.
        sys.exit(f"error: Redis: {error}")


if __name__ == "__main__":
    main()
