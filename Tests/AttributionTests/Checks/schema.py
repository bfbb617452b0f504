"""Holds rewards, one a line, against docs/schema/martlet.reward-1.schema.json."""
import json
import pathlib
import sys

import jsonschema

schema = json.loads((pathlib.Path(sys.argv[1]) / "docs/schema/martlet.reward-1.schema.json").read_text(encoding="utf-8"))


def closed(part):
    """The schema without room for members that it does not name: readers need that room, the writer does not."""
    if isinstance(part, list):
        return [closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {name: closed(value) for name, value in part.items()}
    if isinstance(part.get("properties"), dict):
        part.setdefault("additionalProperties", False)
    return part


validator = jsonschema.Draft202012Validator(closed(schema), format_checker=jsonschema.FormatChecker())
count = 0
for line in sys.stdin.buffer:
    count += 1
    for error in validator.iter_errors(json.loads(line)):
        print(error.json_path, error.message)
print(f"{count} rewards")
