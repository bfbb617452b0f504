"""Encodes texts with gsmcodecs (3GPP TS 23.038): reads a list of {"text", "locking", "single"} and prints hex or null."""
import json
import sys

import gsmcodecs  # noqa: F401  registers the codecs

names = []
for case in json.load(sys.stdin):
    try:
        names.append(case["text"].encode(f"gsm23.038-{case['locking']}-{case['single']}").hex())
    except UnicodeEncodeError:
        names.append(None)
print(json.dumps(names))
