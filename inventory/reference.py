"""The reference tables of site files as Markdown, made from the models so that the docs can't drift.

`python -m inventory.reference < docs/site-files.md` prints the page with fresh tables; a test compares.
"""

import sys
from collections.abc import Mapping
from typing import Any

from inventory.documents import kinds
from inventory.schema import VARIABLE, json_schema

BEGIN = "<!-- tables: made by `python -m inventory.reference`, do not edit -->"
END = "<!-- end of tables -->"
Schema = Mapping[str, Any]
_WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false"}


def tables() -> str:
    """One section for each kind, then one for each part that kinds share."""
    definitions: Schema = json_schema()["$defs"]
    page = _Page(definitions)
    shared = sorted(name for name in definitions if page.is_shared(name))
    return "\n\n".join([*(page.kind(name) for name in kinds()), *(page.part(name) for name in shared)])


def update(page: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


class _Page:
    def __init__(self, definitions: Schema) -> None:
        self.definitions = definitions
        self.specs = {kind: _name(definitions[kind]["properties"]["spec"]) for kind in kinds()}
        self.bases = {name: self._base(name) for name in definitions}

    def is_shared(self, name: str) -> bool:
        alone = name in self.specs.values() and name not in self.bases.values()
        return not alone and name not in kinds() and not name.startswith("Template.")

    def kind(self, kind: str) -> str:
        spec = self.specs[kind]
        about = self.definitions[kind]["description"]
        if self.is_shared(spec):
            return f"### `kind: {kind}`\n\n{about} Its `spec` has the keys of [{spec}](#{spec.lower()})."
        return f"### `kind: {kind}`\n\n{about} Its `spec`:\n\n{self._table(spec)}"

    def part(self, name: str) -> str:
        about = " ".join(self.definitions[name].get("description", "").split())
        return "\n\n".join(text for text in (f"### {name}", about, self._table(name)) if text)

    def _table(self, name: str) -> str:
        base = self.bases[name]
        inherited = self.definitions[base]["properties"] if base else {}
        schema = self.definitions[name]
        lines = [f"The keys of [{base}](#{base.lower()}), and:", ""] if base else []
        lines += ["| key | value | meaning |", "|---|---|---|"]
        for key, field in schema["properties"].items():
            if key not in inherited:
                lines.append(_row(key, field, required=key in schema.get("required", ())))
        return "\n".join(lines)

    def _base(self, name: str) -> str:
        """The part with the most keys that are all in this one too, so that they need not be repeated."""
        mine = self.definitions[name].get("properties", {}).items()
        found = (
            [
                other
                for other, schema in self.definitions.items()
                if not other.startswith("Template.")
                and schema.get("properties")
                and schema["properties"].items() <= mine
                and len(schema["properties"]) < len(mine)
            ]
            if not name.startswith("Template.")
            else []
        )
        return max(found, key=lambda other: len(self.definitions[other]["properties"]), default="")


def _row(key: str, field: Schema, *, required: bool) -> str:
    meaning = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
    example = next(
        (part["examples"][0] for part in (field, *field.get("anyOf", ())) if "examples" in part), None
    )
    shown = meaning if example is None else f"{meaning} Example: `{example}`"
    return f"| `{key}`{' (required)' if required else ''} | {_type(field)} | {shown} |"


def _name(field: Schema) -> str:
    return str(field["$ref"]).rpartition("/")[2].removeprefix("Template.")


def _type(field: Schema) -> str:
    """What a value looks like, in words."""
    match field:
        case {"$ref": _}:
            return f"[{_name(field)}](#{_name(field).lower()})"
        case {"anyOf": options}:
            parts = [_type(part) for part in options if part.get("type") != "null" and part != VARIABLE]
            return " or ".join(dict.fromkeys(parts))
        case {"enum": choices}:
            return ", ".join(f"`{choice}`" for choice in choices)
        case {"const": value}:
            return f"`{value}`"
        case _:
            return _plain_type(field)


def _plain_type(field: Schema) -> str:
    kinds_of_value = field.get("type", [])
    if kinds_of_value == "array":
        return f"list of {_type(field['items'])}"
    if kinds_of_value == "object":
        values = next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties"))
        return f"map to {_type(values)}" if isinstance(values, dict) else "map"
    found = [kinds_of_value] if isinstance(kinds_of_value, str) else kinds_of_value
    return " or ".join(_WORDS.get(name, name) for name in found) or "any"


if __name__ == "__main__":
    sys.stdout.write(update(sys.stdin.read()))
