"""One JSON Schema (2020-12) for editors, made from the models: completion and most mistakes while typing.

It is an aid: references between documents, versions that fit each other, keys and the like are checked by
`inventory.resolve` only.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from inventory.documents import kinds
from inventory.documents.site_template import TemplateBody

Schema = dict[str, Any]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE: Schema = {"type": "string", "pattern": r"\$\{", "description": "Filled in by each site."}
_NULL: Schema = {"type": "null"}
_SCALARS = {"string", "integer", "number", "boolean"}


def json_schema() -> Schema:
    """The schema of one document of any kind."""
    found = kinds()
    _, top = models_json_schema(
        [(model, "validation") for model in found.values()], by_alias=True, ref_template="#/$defs/{model}"
    )
    _, body = models_json_schema([(TemplateBody, "validation")], ref_template="#/$defs/Template.{model}")
    definitions: Schema = {name: _tidy(part) for name, part in top["$defs"].items()}
    for name, part in body["$defs"].items():
        definitions[f"Template.{name}"] = _with_variables(_tidy(part))
    definitions["SiteTemplateSpec"]["properties"] |= definitions.pop("Template.TemplateBody")["properties"]
    return {
        "$schema": _DIALECT,
        "title": "Site file, fleet/v1",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"kind": {"enum": list(found)}},
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in found],
        "$defs": definitions,
    }


def _tidy(schema: Any) -> Any:
    """Without generated titles, and with null allowed as a map's value (it removes what is inherited)."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "properties":
            result[key] = {name: _tidy(part) for name, part in value.items()}
        elif key == "patternProperties":
            result[key] = {name: {"anyOf": [_tidy(part), _NULL]} for name, part in value.items()}
        elif key == "additionalProperties" and isinstance(value, dict):
            result[key] = {"anyOf": [_tidy(value), _NULL]}
        else:
            result[key] = value if key in {"default", "examples", "enum", "const"} else _tidy(value)
    return result


def _with_variables(schema: Any) -> Any:
    """As the schema, but every text, number or truth value may be `${…}` instead."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if isinstance(kind, list) or kind in _SCALARS or "enum" in schema or "const" in schema:
        return {"anyOf": [schema, VARIABLE]}
    result = dict(schema)
    for key in ("items", "additionalProperties", "anyOf"):
        if key in schema:
            result[key] = _with_variables(schema[key])
    for key in ("properties", "patternProperties"):
        if key in schema:
            result[key] = {name: _with_variables(part) for name, part in schema[key].items()}
    return result
