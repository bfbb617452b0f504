"""Prints Python's punycode form of each label in a JSON list."""
import json
import sys

print(json.dumps(["xn--" + label.encode("punycode").decode("ascii") for label in json.load(sys.stdin)]))
