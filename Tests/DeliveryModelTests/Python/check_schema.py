"""Validates documents against docs/schema. Each line of the input is a JSON array [schema, document]; the answer
to each is one line, `valid` or `invalid`.
"""
import json
import pathlib
import sys

import jsonschema

validators = {}
for path in pathlib.Path(sys.argv[1], "docs", "schema").glob("*.schema.json"):
    schema = json.loads(path.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validators[path.name.removesuffix(".schema.json")] = jsonschema.Draft202012Validator(schema)
for line in sys.stdin:
    name, document = json.loads(line)
    print("valid" if validators[name].is_valid(document) else "invalid")
