"""What Python says of seeded random footers, of all forms: a JSON array on standard output.

Each element has `footer`, the line itself; `file`, a zone's file with no more than that, in hexadecimal; and
`samples`, a flat list of moments and offsets. Changes stay away from the turn of the year, where Python looks at
one year's rule only; the tests have cases of their own for that.

Python's zoneinfo takes a day of the form `n` for the day before, and J59 of a leap year for the 29th of February
(seen with 3.11). Of days that are numbers the C library is asked, which in turn is wrong before 1970.
"""

import datetime
import io
import json
import os
import random
import re
import struct
import sys
import time
import zoneinfo

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
LAST = 221845392000  # the year 9000


def start_of(year):
    return int(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc).timestamp())


def judge(line, content):
    """The function from a moment to its offset, and the first year of which it can be asked."""
    if re.search(r",J?\d", line):
        os.environ["TZ"] = line
        time.tzset()
        return (lambda moment: time.localtime(moment).tm_gmtoff), 1970
    zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(content))
    return (lambda moment: int((EPOCH + datetime.timedelta(seconds=moment)).astimezone(zone).utcoffset()
                               .total_seconds())), 1621


def clock(chance, hours):
    text = f"{chance.choice(['', '+', '-'])}{chance.randint(0, hours)}"
    if chance.random() < 0.5:
        text += f":{chance.randint(0, 59):02}"
        if chance.random() < 0.5:
            text += f":{chance.randint(0, 59):02}"
    return text


def day(chance, half):
    """A day in one half of the year, some way off its ends."""
    kind = chance.randrange(3)
    if kind == 0:
        return f"M{chance.randint(2, 5) + half * 6}.{chance.randint(1, 5)}.{chance.randint(0, 6)}"
    number = chance.randint(20, 150) + half * 182
    return f"J{number}" if kind == 1 else f"{number}"


def footer(chance):
    name = chance.choice(["ABC", "Zulu", "<+03>", "<-0330>", "<a1+>"])
    line = name + clock(chance, 20)
    if chance.random() < 0.1:
        return line
    line += chance.choice(["DEF", "<+04>"])
    if chance.random() < 0.5:
        line += clock(chance, 20)
    half = chance.randrange(2)
    for part in (half, 1 - half):
        line += f",{day(chance, part)}"
        if chance.random() < 0.7:
            line += "/" + clock(chance, chance.choice([24, 167]))
    return line


def file(line):
    header = b"TZif3" + bytes(15)
    first = header + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"LMT\0"
    return first + first + b"\n" + line.encode() + b"\n"


def main(count):
    chance = random.Random(7)
    answers = []
    for _ in range(count):
        line = footer(chance)
        content = file(line)
        offset, first = judge(line, content)
        moments = [chance.randrange(start_of(first), LAST) for _ in range(40)]
        # Around the changes of some years: found by halving a step in which the offset differs.
        for year in (1700, 1999, 2000, 2026, 2100, 3333):
            if year < first:
                continue
            start = start_of(year)
            for low in range(start, start + 365 * 86400, 5 * 86400):
                high, known = low + 5 * 86400, offset(low)
                if offset(high) == known:
                    continue
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if offset(middle) == known else (low, middle)
                moments += [high - 3600, high - 1, high, high + 3600]
        samples = [number for moment in sorted(moments) for number in (moment, offset(moment))]
        answers.append({"footer": line, "file": content.hex(), "samples": samples})
    json.dump(answers, sys.stdout)


main(int(sys.argv[1]))
