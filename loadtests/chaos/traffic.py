"""What is handed in and what arrives: the decisions, their producer, and the records of the simulated providers."""
import binascii, json, random, re, threading, time
from dataclasses import dataclass
from datetime import datetime, timezone

from redis_wire import Redis, RedisDown, RedisRefusal

SHARDS = 16
SEED = 20261127
CHANNELS = ["email", "sms", "push"]


@dataclass
class Wish:
    """A decision as it was handed in. Each has recipients of its own: who was written to tells the decision."""
    id: str
    number: int
    is_marketing: bool
    channels: list
    not_before: float = None
    expires_at: float = None
    text: bytes = b""
    shard: int = 0
    appended: int = 0


def make_wishes(prefix, count):
    """A seeded mix; times are drawn as seconds after the append and become points in time with it."""
    draw = random.Random(SEED)
    wishes = []
    for number in range(count):
        first = draw.choices(CHANNELS, [50, 30, 20])[0]
        wish = Wish(f"{prefix}-{number:06}", number, draw.random() < 0.7, [first])
        if draw.random() < 0.12:
            wish.channels.append(draw.choice([channel for channel in CHANNELS if channel != first]))
        if draw.random() < 0.15:
            wish.not_before = draw.uniform(2, 8)
        if draw.random() < 0.15:
            wish.expires_at = (wish.not_before or 0) + draw.uniform(4, 20)
        wishes.append(wish)
    return wishes


def write(wish, now):
    """Gives the decision its times and its text, which stay the same however often it is appended."""
    moment = lambda seconds: datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    steps = [{"channel": channel, "template": "chaos"} for channel in wish.channels]
    if len(steps) > 1:
        steps[0].update({"until": "open", "within": "PT2S"})
    user = {"id": f"u-{wish.id}"}
    for channel in wish.channels:
        user.update({
            # No number ends in digits that mean something to the simulators.
            "email": {"email": f"r{wish.number}@example.com"}, "sms": {"phone": f"+1556{wish.number * 10 + 1:07}"},
            "push": {"push": [{"platform": "fcm", "token": f"token-{wish.number}"}]}}[channel])
    decision = {
        "schema": "martlet.decision/1", "id": wish.id, "user": user, "campaign": "chaos",
        "class": "marketing" if wish.is_marketing else "transactional", "plan": steps}
    for name in ("not_before", "expires_at"):
        seconds = getattr(wish, name)
        if seconds is not None:
            # To the millisecond, as the fleet keeps it.
            setattr(wish, name, round(now + seconds, 3))
            decision[name] = moment(getattr(wish, name))
    wish.text = json.dumps(decision, separators=(",", ":")).encode()
    wish.shard = binascii.crc_hqx(user["id"].encode(), 0) % SHARDS


def recipient(channel, to):
    """The number of the decision that `to` belongs to."""
    digits = int(re.search(r"(\d+)(?:@|$)", to).group(1))
    return digits % 10_000_000 // 10 if channel == "sms" else digits


class Producer(threading.Thread):
    """Appends at a steady pace. What Redis did not answer for is appended again, as a real producer does."""

    def __init__(self, port, wishes, seconds):
        super().__init__(daemon=True)
        self.port, self.wishes, self.rate = port, wishes, len(wishes) / seconds
        self.redis, self.failure, self.stopping = None, None, False

    def run(self):
        start, position = time.monotonic(), 0
        try:
            while position < len(self.wishes) and not self.stopping:
                due = min(len(self.wishes), int((time.monotonic() - start) * self.rate) + 1)
                # After an outage it catches up, at 2,000 a second.
                batch = self.wishes[position:min(due, position + 100)]
                if batch:
                    self.append(batch)
                    position += len(batch)
                time.sleep(0.05)
        except Exception as error:
            self.failure = error

    def append(self, wishes):
        for wish in wishes:
            if not wish.text:
                write(wish, time.time())
        while wishes and not self.stopping:
            commands = [("XADD", f"martlet:{{{wish.shard}}}:decisions", "*", "decision", wish.text) for wish in wishes]
            try:
                if self.redis is None:
                    self.redis = Redis(self.port)
                replies = self.redis.pipeline(commands)
                for wish in wishes:
                    wish.appended += 1
                # Refused, as by a Redis whose disk is full.
                wishes = [wish for wish, reply in zip(wishes, replies) if isinstance(reply, RedisRefusal)]
            except RedisDown:
                if self.redis is not None:
                    for wish in wishes:
                        wish.appended += 1
                    self.redis.close()
                self.redis = None
            if wishes:
                time.sleep(0.2)


@dataclass
class Receipt:
    at: float
    message_id: str


class Records(threading.Thread):
    """Everything that the simulated providers received. They keep only the newest, so they are asked all the time."""

    def __init__(self, simulators):
        super().__init__(daemon=True)
        self.simulators, self.receipts, self.seen, self.stopping = simulators, {}, {}, threading.Event()
        self.failure, self.counts, self.short = None, {}, set()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.look()
            except Exception as error:
                self.failure = error
            self.stopping.wait(0.1)

    def look(self):
        for simulator in self.simulators.request("/simulators")["simulators"]:
            name = simulator["name"]
            channel = {"smtp": "email", "smtps": "email", "sms": "sms", "fcm": "push"}.get(name)
            seen = self.seen.setdefault(name, set())
            self.counts[name] = simulator["counts"]
            before = len(seen)
            fresh = simulator["counts"]["accepted"] - before
            if channel is None or fresh <= 0:
                continue
            # A little more than are new: others came meanwhile. After an outage thousands come in a second, and the
            # last look may have left some behind.
            limit = 1000 if name in self.short else min(1000, fresh + 100)
            for message in self.simulators.request(f"/simulators/{name}/messages?limit={limit}")["messages"]:
                if message["id"] not in seen:
                    seen.add(message["id"])
                    self.keep(channel, message)
            self.short.discard(name)
            if self.counts[name]["accepted"] > len(seen) or len(seen) - before >= limit - 50:
                self.short.add(name)

    def keep(self, channel, message):
        header = re.search(r"(?im)^Message-ID:\s*(\S+)", message.get("headers", ""))
        moment = datetime.fromisoformat(message["received_at"].replace("Z", "+00:00")).timestamp()
        key = (recipient(channel, message["to"]), channel)
        self.receipts.setdefault(key, []).append(Receipt(moment, header.group(1) if header else ""))

    def finish(self):
        """Ends the asking; returns how many messages were missed."""
        self.stopping.set()
        self.join()
        self.look()
        return sum(self.counts[name]["accepted"] - len(seen) for name, seen in self.seen.items())

    def first_after(self, moment):
        times = [receipt.at for receipts in list(self.receipts.values()) for receipt in receipts]
        return min((at for at in times if at > moment), default=None)
