"""Reads JSON texts with Python's own reader, held to Martlet's rules, and compares.

Each line of the input: the text in base64, a blank, and what Martlet wrote after reading it in base64, or `-`
where Martlet refused it. Writes one line for each text on which the two disagree.
"""
import base64
import json
import sys
import unicodedata

DEPTH_MAX = 32


def refuse(word):
    raise ValueError(f"{word} is not JSON")


def pairs(members):
    names = [unicodedata.normalize("NFC", name) for name, _ in members]
    if len(set(names)) != len(names):
        raise ValueError("two members of one name")
    return dict(members)


def check(value, depth):
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if float(value) in (float("inf"), float("-inf")):
            raise ValueError("too large")
    elif isinstance(value, (list, dict)):
        if depth == DEPTH_MAX:
            raise ValueError("too deep")
        for child in value:
            check(child, depth + 1)
        if isinstance(value, dict):
            for child in value.values():
                check(child, depth + 1)


def read(text):
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=pairs)
        check(value, 0)
    except (ValueError, OverflowError, RecursionError):
        return False, None
    return True, value


def same(left, right):
    if type(left) in (int, float) and type(right) in (int, float):
        if type(left) is int and abs(left) < 2**63:
            return left == right
        return float(left) == float(right)
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    return left == right


def main():
    sys.set_int_max_str_digits(0)
    for number, line in enumerate(sys.stdin):
        original, written = line.split()
        original = base64.b64decode(original)
        is_accepted, value = read(original)
        if is_accepted != (written != "-"):
            print(f"{number}: Python {'accepts' if is_accepted else 'refuses'} {original!r}")
        elif is_accepted and not same(value, read(base64.b64decode(written))[1]):
            print(f"{number}: another value: {original!r}")
    print("compared")


main()
