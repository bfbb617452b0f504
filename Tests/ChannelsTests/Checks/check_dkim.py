"""Verifies DKIM signatures with dkimpy.

Reads one JSON object a line: `mail` (base64), `records` (TXT records by name), `algorithms` that must be there.
`tampered` says that none may verify. Prints one line for each difference.
"""
import base64
import json
import sys

import dkim


def differences(case):
    raw = base64.b64decode(case["mail"])
    records = {name.rstrip(".") + ".": text.encode() for name, text in case["records"].items()}

    def lookup(name, timeout=5):
        return records.get(name.decode() if isinstance(name, bytes) else name)

    seen = []
    for index in range(len(case["algorithms"])):
        message = dkim.DKIM(raw, minkey=1024)
        try:
            is_good = message.verify(idx=index, dnsfunc=lookup)
        except dkim.DKIMException as error:
            if not case.get("tampered", False):
                yield f"signature {index}: {error}"
            continue
        if is_good == case.get("tampered", False):
            yield f"signature {index} {'verifies' if is_good else 'does not verify'}"
        fields = message.signature_fields
        seen.append(fields[b"a"].decode())
        if fields[b"c"] != b"relaxed/relaxed":
            yield f"signature {index} is {fields[b'c']!r}"
    if seen != case["algorithms"] and not case.get("tampered", False):
        yield f"algorithms {seen} instead of {case['algorithms']}"
    head = raw.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n"):
        if len(line) > 998:
            yield f"a header line of {len(line)} octets"


def main():
    count = 0
    for line in sys.stdin:
        case = json.loads(line)
        count += 1
        for difference in differences(case):
            print(f"case {case['case']}: {difference}")
    print(f"checked {count}")


main()
