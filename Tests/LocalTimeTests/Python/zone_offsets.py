"""What Python says of every zone in a folder: a JSON object on standard output.

Each key is a zone; `same` are the names whose files have the same bytes, and `samples` a flat list of moments, in
seconds since 1970, and offsets. The moments lie around each change that a file lists, around each change that its
footer makes until 2110, and at seeded random times up to the year 9000.
"""

import datetime
import json
import os
import random
import struct
import sys
import zoneinfo

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
FIRST, LAST = -62135596800 + 172800, 221845392000  # what datetime can hold, and the year 9000
FOOTERS_FROM, FOOTERS_TO = 2114380800, 4417977600  # 2037 to 2110


def files(folder):
    for root, folders, names in os.walk(folder):
        if root == folder:
            folders[:] = [name for name in folders if name not in ("posix", "right")]
        for name in sorted(names):
            path = os.path.join(root, name)
            zone = os.path.relpath(path, folder)
            if zone[0].isupper():
                with open(path, "rb") as file:
                    content = file.read()
                if content[:4] == b"TZif":
                    yield zone, content


def changes(content):
    """The moments of the second block, by hand: what is to be checked must not choose what is checked."""
    def counts(at):
        return struct.unpack(">6l", content[at + 20:at + 44])
    isut, isstd, leap, times, types, chars = counts(0)
    at = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    times = counts(at)[3]
    return struct.unpack(f">{times}q", content[at + 44:at + 44 + 8 * times])


def offset(zone, moment):
    seconds = (EPOCH + datetime.timedelta(seconds=moment)).astimezone(zone).utcoffset().total_seconds()
    assert seconds == int(seconds)
    return int(seconds)


def footer_changes(zone):
    step = 5 * 86400
    known = offset(zone, FOOTERS_FROM)
    for start in range(FOOTERS_FROM, FOOTERS_TO, step):
        low, high, now = start, start + step, offset(zone, start + step)
        if now != known:
            while high - low > 1:
                middle = (low + high) // 2
                if offset(zone, middle) == known:
                    low = middle
                else:
                    high = middle
            yield high
        known = now


def main(folder):
    zoneinfo.reset_tzpath([folder])
    chance = random.Random(1)
    answers, by_content = {}, {}
    for name, content in files(folder):
        if content in by_content:
            answers[by_content[content]]["same"].append(name)
            continue
        by_content[content] = name
        zone = zoneinfo.ZoneInfo(name)
        moments = set()
        found = [moment for moment in changes(content) if FIRST < moment < LAST]
        if b"," in content.rsplit(b"\n", 2)[1]:
            found += footer_changes(zone)
        for moment in found:
            moments.update((moment - 3600, moment - 1, moment, moment + 3600))
        moments.update(chance.randrange(FIRST, LAST) for _ in range(50))
        samples = [number for moment in sorted(moments) for number in (moment, offset(zone, moment))]
        answers[name] = {"same": [], "samples": samples}
    json.dump(answers, sys.stdout)


main(sys.argv[1])
