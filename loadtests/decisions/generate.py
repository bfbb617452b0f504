#!/usr/bin/env python3
"""Writes the decisions of the demonstration: demo.ndjson, and demo.expected.json, which says what must come of them.

Everything is drawn from one seed, so the same files come out each time. Needs Python 3.9 and nothing else.

All people are invented. Addresses are under example.com and example.org (RFC 2606), numbers begin with +1555 and
+4860. Recipients with an effect at the simulators: local parts `bounce…`, `full…`, `slow…`; numbers that end in
0000 (invalid) and 0429 (asked to wait once); push tokens that begin with `dead-`.
"""
import argparse
import json
import pathlib
import random

VALID = 2400
USERS = 1300
SEED = 20261121

PEOPLE = {
    "en-GB": (
        ["Zoë", "Siân", "Chloé", "Oliver", "Amelia", "Niamh", "Rhys", "Renée", "George", "Isla", "Noël", "Beyoncé"],
        ["Smith", "O'Brien", "Brontë", "Patel", "Lloyd-Jones", "Núñez", "Taylor", "MacLeod", "Évans", "Okafor"],
        ["Europe/London", "Europe/London", "America/New_York"],
    ),
    "de-DE": (
        ["Jürgen", "Käthe", "Björn", "Anaïs", "Sören", "Lieselotte", "Günther", "Renée", "Jörg", "Mareike", "Özlem"],
        ["Müller", "Weiß", "Schröder", "Strauß", "Köhler", "Größer", "Yılmaz", "von Hövel", "Jäger", "Löwe"],
        ["Europe/Berlin", "Europe/Vienna", "Europe/Zurich"],
    ),
    "pl-PL": (
        ["Łucja", "Michał", "Małgorzata", "Paweł", "Zofia", "Stanisław", "Żaneta", "Święcisława", "Jarosław", "Agnieszka"],
        ["Dąbrowska", "Wiśniewski", "Kowalczyk", "Wójcik", "Żółkiewski", "Łęcka", "Grzęda", "Nowak", "Piątek", "Śliwa"],
        ["Europe/Warsaw"],
    ),
}
PRODUCTS = {
    "en-GB": [("Swift feeder", "£24.00"), ("Crème brûlée set", "£39.50"), ("Rain jacket “Severn”", "£89.99")],
    "de-DE": [("Mauersegler-Kasten", "29,90 €"), ("Käsefondue für zwei", "54,00 €"), ("Fahrradhelm Größe M", "79,95 €")],
    "pl-PL": [("Budka dla jerzyków", "99,00 zł"), ("Żurek w słoiku, 6 szt.", "64,50 zł"), ("Plecak „Śnieżka”", "219,99 zł")],
}
TEMPLATES = [("cart-rescue", 40), ("flash-sale", 25), ("welcome", 20), ("order-confirmation", 15)]
CHANNELS = [("email", 50), ("sms", 30), ("push", 20)]
# What a phone number must not end in by chance: each has an effect at the simulator.
MAGIC_ENDINGS = ("0000", "0429", "0500", "0610", "0614", "0998", "0999")
ASCII = str.maketrans("ąćęłńóśźżäöüßéèëêïôûúñı", "acelnoszzaouseeeeiouuni")


def weighted(draw, pairs):
    return draw.choices([word for word, _ in pairs], [weight for _, weight in pairs])[0]


def users(draw):
    people = []
    for number in range(USERS):
        locale = draw.choice(list(PEOPLE))
        first_names, last_names, zones = PEOPLE[locale]
        first, last = draw.choice(first_names), draw.choice(last_names)
        local = f"{first}.{last}".lower().translate(ASCII)
        local = "".join(letter for letter in local if letter.isascii() and (letter.isalnum() or letter in ".-"))
        digits = f"{number * 7919 % 10_000_000:07}"
        if digits.endswith(MAGIC_ENDINGS):
            digits = digits[:-1] + "7"
        people.append({
            "id": f"u-{number:05}", "timezone": draw.choice(zones), "locale": locale,
            "email": f"{local}{number}@{draw.choice(['example.com', 'example.org'])}",
            "phone": ("+4860" if locale == "pl-PL" else "+1555") + digits,
            "push": [{"platform": "fcm", "token": f"fcm{number:05}:APA91b{draw.getrandbits(160):040x}"}],
            "first_name": first,
        })
    return people


def address(person, channels):
    """The user of a decision, with the addresses that its channels need."""
    fields = {"email": "email", "sms": "phone", "push": "push"}
    wanted = ["id", "timezone", "locale"] + [fields[channel] for channel in fields if channel in channels]
    return {name: person[name] for name in wanted}


def decision(draw, number, person):
    template = weighted(draw, TEMPLATES)
    channel = weighted(draw, CHANNELS)
    is_order = template == "order-confirmation"
    product, price = draw.choice(PRODUCTS[person["locale"]])
    identifier = f"demo-{number:05}"
    made = {
        "schema": "martlet.decision/1", "id": identifier, "user": address(person, [channel]), "campaign": template,
        "class": "transactional" if is_order or template == "welcome" else "marketing",
        "priority": 1 if is_order else draw.choice([4, 5, 5, 5, 7]),
        "not_before": "2026-01-01T00:00:00Z", "expires_at": "2036-01-01T00:00:00Z",
        "plan": [{"channel": channel, "template": template}],
        "context": {
            "cart_value": round(draw.uniform(5, 400), 2), "visits_24h": draw.randrange(9),
            "is_member": draw.random() < 0.4, "device": draw.choice(["phone", "laptop", "tablet"]),
        },
        "data": {
            "first_name": person["first_name"],
        },
    }
    made["data"].update(variables(draw, template, identifier, person, product, price))
    if made["class"] == "marketing":
        made["reward"] = {"open": 0.05, "click": 0.3, "conversion": 1.0, "unsubscribe": -1.0, "window": "PT72H"}
        made["propensity"] = round(draw.uniform(0.05, 1), 3)
    if draw.random() < 0.1:
        made["trace"] = f"00-{draw.getrandbits(128) | 1:032x}-{draw.getrandbits(64) | 1:016x}-01"
    return made


def variables(draw, template, identifier, person, product, price):
    """What the template asks for."""
    if template == "flash-sale":
        return {"discount": draw.choice([5, 10, 15, 20]), "ends": draw.choice(["Sunday", "30.11.", "23:59"])}
    line = {"name": product, "quantity": draw.choice([1, 1, 2]), "price": price}
    shop = f"https://shop.example.com/{person['locale'][:2]}"
    if template == "order-confirmation":
        number = f"{draw.randrange(10**8):08}"
        return {"order": {"number": number, "total": price, "url": f"{shop}/orders/{number}", "lines": [line]}}
    if template == "cart-rescue":
        return {"items": [line], "cart_url": f"{shop}/cart?d={identifier}"}
    return {}


def with_arms(made, person, draw):
    """Two or three channels among which the fleet chooses."""
    template = made["campaign"]
    chosen = draw.sample(["email", "sms", "push"], draw.choice([2, 2, 3]))
    costs = {"email": 0.001, "sms": 0.04, "push": 0.0}
    made["user"] = address(person, chosen)
    del made["plan"]
    made["arms"] = [
        {"id": f"{channel}-a", "plan": [{"channel": channel, "template": template}], "cost": costs[channel]}
        for channel in chosen
    ]


def with_two_steps(made, person, draw):
    """A second channel, for when the first one fails or is not answered within seconds."""
    first = made["plan"][0]
    other = draw.choice([channel for channel, _ in CHANNELS if channel != first["channel"]])
    first["until"] = draw.choice(["open", "click"]) if made["class"] == "marketing" else "delivered"
    first["within"] = draw.choice(["PT2S", "PT3S", "PT5S"])
    made["plan"].append({"channel": other, "template": first["template"]})
    made["user"] = address(person, [first["channel"], other])


def special(made, person, kind, index):
    """Gives a decision a recipient whom the simulators treat in their own way."""
    template = made["campaign"]
    channel = {"bounce": "email", "full": "email", "slow": "email", "dead": "push"}.get(kind.split("-")[0], "sms")
    made.pop("arms", None)
    made["plan"] = [{"channel": channel, "template": template}]
    made["user"] = address(person, [channel])
    if channel == "email":
        word = {"bounce": ["bounce", "bounce-5.2.1", "bounce-5.7.1"][index % 3], "full": "full", "slow": "slow-500"}
        made["user"]["email"] = f"{word[kind.split('-')[0]]}+{index}@example.com"
    elif channel == "push":
        made["user"]["push"] = [{"platform": "fcm", "token": f"dead-{index:04}"}]
    else:
        made["user"]["phone"] = f"+1555{100 + index:03}{kind.split('-')[1]}"
    if kind.endswith("-then"):
        first = made["plan"][0]
        first["until"], first["within"] = "delivered", "PT5S"
        other = "sms" if channel == "email" else "email"
        made["plan"].append({"channel": other, "template": template})
        made["user"].update(address(person, [other]))


# How many decisions have which recipient, and how each must end where that does not depend on settings.
SPECIALS = [
    ("bounce", 14, "failed"), ("bounce-then", 10, "sent"), ("full", 3, None), ("slow", 6, "sent"),
    ("phone-0000", 5, "failed"), ("phone-0000-then", 4, "sent"), ("phone-0429", 4, "sent"), ("dead", 5, "failed"),
]


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def changed(made, path, value):
    """A copy with one field set (`...` takes it away)."""
    copy = json.loads(json.dumps(made))
    place = copy
    for name in path[:-1]:
        place = place[name]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return text(copy)


def wrong(fresh, accepted):
    """The wrong lines, each with the code that it must get. `fresh` makes a decision that is not used elsewhere."""
    def edit(code, path, value):
        return code, changed(fresh(), path, value)

    step = {"channel": "sms", "template": "welcome"}
    lines = [
        edit("field.unknown", ["expire_at"], "2036-01-01T00:00:00Z"), edit("field.unknown", ["plan", 0, "chanel"], "sms"),
        edit("field.unknown", ["email"], "ada@example.com"), edit("field.missing", ["id"], ...),
        edit("field.missing", ["user", "id"], ...), edit("field.missing", ["campaign"], ...),
        edit("field.missing", ["class"], ...), edit("choice.missing", ["plan"], ...),
        edit("choice.both", ["arms"], []), edit("field.type", ["priority"], "high"),
        edit("field.type", ["user"], "u-00001"), edit("field.type", ["data"], ["Ada"]),
        edit("schema.unsupported", ["schema"], "martlet.decision/9"), edit("id.format", ["id"], "x" * 129),
        edit("id.format", ["id"], "id with spaces"), edit("class.unknown", ["class"], "promotional"),
        edit("priority.range", ["priority"], 10), edit("time.format", ["not_before"], "2026-11-21 18:00"),
        edit("time.format", ["expires_at"], "2036-02-30T00:00:00Z"), edit("time.order", ["expires_at"], "2025-12-31T23:59:59Z"),
        edit("timing.mode", ["timing"], {"mode": "whenever"}), edit("timing.at", ["timing"], {"mode": "local", "at": "25:00"}),
        edit("plan.length", ["plan"], []), edit("step.channel", ["plan", 0, "channel"], "fax"),
        edit("step.template", ["plan", 0, "template"], "../welcome"), edit("step.goal_missing", ["plan"], [step, step]),
        edit("step.pair", ["plan", 0, "until"], "click"), edit("duration.format", ["reward"], {"window": "P1M"}),
        edit("user.email", ["user", "email"], "ada@example.com\r\nBcc: all@example.org"),
        edit("user.phone", ["user", "phone"], "555-0100"), edit("propensity.range", ["propensity"], 1.5),
        edit("context.value", ["context", "last_items"], [1, 2, 3]),
        edit("decision.too_large", ["data", "padding"], "x" * 65_536),
    ]
    whole = text(fresh())
    lines.append(("json.truncated", whole[: len(whole) * 2 // 3]))
    lines.append(("json.syntax", whole.replace(b'"campaign":', b'"campaign"', 1)))
    lines.append(("json.utf8", whole.replace(b'"campaign":"', b'"campaign":"\xff\xfe', 1)))
    lines.append(("json.depth", b'{"data":' + b"[" * 40 + b"]" * 40 + b"," + text(fresh())[1:]))
    # The same text again, and the same id with another text.
    lines.append(("decision.duplicate", text(accepted[10])))
    lines.append(("decision.duplicate", text(accepted[20])))
    lines.append(("decision.duplicate", changed(accepted[30], ["priority"], 8)))
    return lines


def build():
    draw = random.Random(SEED)
    people = users(draw)
    good, ends = [], {}
    for number in range(VALID):
        # The first decisions go through all people, so that each of them has one.
        person = people[number] if number < USERS else draw.choice(people)
        made = decision(draw, number, person)
        drawn = draw.random()
        if drawn < 0.04:
            with_arms(made, person, draw)
        elif drawn < 0.08:
            with_two_steps(made, person, draw)
        good.append((made, person))
    places = iter(draw.sample(range(100, VALID), 100))
    for kind, count, end in SPECIALS:
        for index in range(count):
            made, person = good[next(places)]
            special(made, person, kind, index + (50 if kind.endswith("-then") else 0))
            ends.setdefault(kind, {"state": end, "ids": []})["ids"].append(made["id"])
    for index in range(10):
        made, _ = good[next(places)]
        made["not_before"], made["expires_at"] = "2024-05-01T08:00:00Z", f"2024-05-{index + 2:02}T08:00:00+02:00"
        ends.setdefault("expired", {"state": "expired", "ids": []})["ids"].append(made["id"])
    for template, variable in (("welcome", "first_name"), ("flash-sale", "ends"), ("order-confirmation", "order")):
        made, person = good[next(places)]
        made["campaign"] = template
        made.pop("arms", None)
        made["plan"] = [{"channel": "email", "template": template}]
        made["user"] = address(person, ["email"])
        made["data"].update(variables(draw, template, made["id"], person, "Swift feeder", "£24.00"))
        del made["data"][variable]
        ends.setdefault("incomplete", {"state": "refused", "ids": []})["ids"].append(made["id"])
    accepted = [made for made, _ in good]
    numbers = iter(range(VALID, VALID + 100))
    fresh = lambda: decision(draw, next(numbers), draw.choice(people))
    lines = [(None, text(made)) for made in accepted]
    for code, line in wrong(fresh, accepted):
        # Behind the first hundred lines: a repeated decision must come after the one that it repeats.
        lines.insert(draw.randrange(100, len(lines)), (code, line))
    return accepted, ends, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--folder", type=pathlib.Path, default=here, help="where to write the files (default: here)")
    folder = parser.parse_args().folder
    accepted, ends, lines = build()
    channels = [made["plan"][0]["channel"] if "plan" in made else "arms" for made in accepted]
    expected = {
        "lines": len(lines), "valid": len(accepted), "users": len({made["user"]["id"] for made in accepted}),
        "first_channel": {name: channels.count(name) for name in ("email", "sms", "push", "arms")},
        "two_steps": sum(len(made.get("plan", [])) == 2 for made in accepted),
        "wrong": [{"line": number + 1, "code": code} for number, (code, _) in enumerate(lines) if code],
        "ends": ends,
    }
    (folder / "demo.ndjson").write_bytes(b"".join(line + b"\n" for _, line in lines))
    (folder / "demo.expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")
    codes = {entry["code"] for entry in expected["wrong"]}
    print(f"{len(lines)} lines: {len(accepted)} valid, {len(expected['wrong'])} wrong with {len(codes)} codes")


if __name__ == "__main__":
    main()
