"""pydantic's errors → problems that an author of site files can act on: line, path, what, fix.

Knows the messages, not the kinds: the keys to suggest come from the model in which the error happened.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from inventory.errors import Problem
from inventory.values import quote
from inventory.yaml_source import Path, SourceDocument, show_path

_EXPECTED: Mapping[str, tuple[str, str]] = {
    "string_type": ("text", "quote it if it is meant as text"),
    "int_type": ("a whole number", "write it without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "list_type": ("a list", "write [a, b], or one item a line, each after a hyphen"),
    "dict_type": ("a map", "write `key: value` lines below it, indented"),
    "model_type": ("a map", "write `key: value` lines below it, indented"),
    "model_attributes_type": ("a map", "write `key: value` lines below it, indented"),
}


def problems_of(
    error: ValidationError, model: type[BaseModel], source: SourceDocument, prefix: Path = (), note: str = ""
) -> list[Problem]:
    """The problems of one failed validation of `model` on the part of `source` below `prefix`."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        # A bad map key is reported below the key, as "[key]".
        path = tuple(part for part in detail["loc"] if part != "[key]")
        what, fix = _message(detail, model, path)
        where = (*prefix, *path)
        found.append(
            Problem(
                file=source.file,
                line=source.line_of(where),
                path=show_path(where),
                what=what + note,
                fix=fix,
            )
        )
    return found


def suggest(word: str, known: list[str], noun: str) -> str:
    """`did you mean …?`, or what there is to choose from."""
    folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), folded, n=2, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"`{folded[match]}`" for match in close) + "?"
    if not known:
        return f"there is no {noun} to choose from"
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"known {noun}s: {', '.join(known[:12])}{more}"


def _message(detail: ErrorDetails, model: type[BaseModel], path: Path) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    last = path[-1] if path else ""
    if kind == "refused":
        return str(context["what"]), str(context["fix"])
    if kind == "extra_forbidden":
        owner = _type_at(model, path[:-1])
        known = _keys(owner) if owner is not None else []
        return f"unknown key {quote(last)}", suggest(str(last), known, "key")
    if kind == "missing":
        return f"{quote(last)} is missing", _example(model, path)
    if kind in _EXPECTED:
        expected, fix = _EXPECTED[kind]
        return f"expected {expected}, found {_shown(detail['input'])}", fix
    if kind in {"literal_error", "enum"}:
        return _choice(detail, str(context.get("expected", "")))
    if kind in {"too_short", "string_too_short"}:
        return "it is empty", "write at least one, or remove the key"
    if kind == "string_pattern_mismatch":
        return f"{quote(detail['input'])} is not a valid {last or 'value'}", _example(model, path)
    return f"{quote(detail['input'])}: {detail['msg'].lower()}", _example(model, path)


def _choice(detail: ErrorDetails, expected: str) -> tuple[str, str]:
    choices = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    return f"{_shown(detail['input'])} is not one of the choices", suggest(
        str(detail["input"]), choices, "choice"
    )


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    return "a map" if isinstance(value, dict) else f"the text {quote(value)}"


def _example(model: type[BaseModel], path: Path) -> str:
    """How a correct value looks, from the field's own description and examples."""
    owner, key = _type_at(model, path[:-1]), path[-1] if path else ""
    field = _field(owner, str(key)) if owner is not None else None
    if field is None:
        return "see the reference of site files"
    examples = field.examples or _schema_examples(field)
    about = (field.description or "").rstrip(".")
    shown = f"write `{key}: {examples[0]}`" if examples else f"write `{key}:`"
    return f"{shown} ({about})" if about else shown


def _schema_examples(field: FieldInfo) -> list[Any]:
    for part in field.metadata:
        schema = getattr(part, "json_schema", None)
        if isinstance(schema, dict) and schema.get("examples"):
            return list(schema["examples"])
    choices = get_args(field.annotation)
    return [choices[0]] if choices and isinstance(choices[0], str) else []


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    return next(
        (field for name, field in model.model_fields.items() if key == (field.alias or name)),
        None,
    )


def _type_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model found by following a path of keys and list positions."""
    current: Any = model
    for part in path:
        current = _inner(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = _field(current, str(part))
            if field is None:
                return None
            current = field.annotation
        elif get_origin(current) in (list, dict):
            current = get_args(current)[-1]
        else:
            return None
    current = _inner(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _inner(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation
