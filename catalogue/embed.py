#!/usr/bin/env python3
"""Turns a data file of event types (jomres.json) into a C string for event/catalogue.c.

What is embedded is a JSON array of types in the form that the API takes for the site's own
types, so that one reader serves both. Example and schema of each type are put together here
from the kinds and examples of its fields; what is sensitive appears in neither.
"""
import json
import sys


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def full_type(given, kinds, examples):
    sensitive = given.get("sensitive", [])
    unknown = [f for f in given.get("personal", []) + sensitive if f not in given["fields"]]
    if unknown:
        sys.exit(f"{given['name']}: marks {unknown}, which are not among its fields")

    sent = {field: kind for field, kind in given["fields"].items() if field not in sensitive}
    return {
        "name": given["name"],
        "group": given["group"],
        "description": given["description"],
        "fields": list(given["fields"]),
        "sensitive": sensitive,
        "example": {field: examples[field] for field in sent},
        "schema": {
            "type": "object",
            "properties": {field: kinds[kind] for field, kind in sent.items()},
            "required": list(sent),
        },
    }


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main(source, target):
    with open(source, encoding="utf-8") as file:
        data = json.load(file)
    types = [full_type(t, data["kinds"], data["examples"]) for t in data["types"]]
    lines = [c_string(compact(t) + ("," if t is not types[-1] else "")) for t in types]
    with open(target, "w", encoding="utf-8") as file:
        file.write('#include "event/built_in.h"\n\n')
        file.write("const char bh_built_in_types[] = \"[\"\n\t" + "\n\t".join(lines) + "\n\t\"]\";\n")


main(sys.argv[1], sys.argv[2])
