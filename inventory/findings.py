"""pydantic's errors → problems that an author of site files can act on: line, path, what, fix.

Knows the messages, not the kinds: the keys to suggest come from the model in which the error happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Finding:
    """Something at a path of an effective object; `warning` does not stop anything."""

    group: str  # nodes, clusters, sites
    name: str
    path: tuple[str, ...]
    what: str
    fix: str
    warning: bool = False


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
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{folded[close[0]]}`?"
    if not known:
        return f"there is no {noun} to choose from; declare one first"
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"known {noun}s: {', '.join(known[:12])}{more}"


def _message(detail: ErrorDetails, model: type[BaseModel], path: Path) -> tuple[str, str]:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    key = path[-1] if path else ""
    if kind in _EXPECTED:
        expected, fix = _EXPECTED[kind]
        like = _example(model, path, "") if kind == "string_type" else ""
        return f"expected {expected}, found {_shown(value)}", like or fix
    match kind:
        case "refused":
            found = str(context["what"]), str(context["fix"])
        case "extra_forbidden":
            owner = _type_at(model, path[:-1])
            known = _keys(owner) if owner is not None else []
            found = f"unknown key {quote(key)}", suggest(str(key), known, "key")
        case "missing":
            found = f"{quote(key)} is missing", _example(model, path)
        case "literal_error":
            choices = [word.strip("' ") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
            found = f"{_shown(value)} is not one of the choices", suggest(str(value), choices, "choice")
        case "too_short" | "string_too_short":
            found = "it is empty", "write at least one, or remove the key"
        case "less_than_equal":
            found = f"{value} is too large", f"write at most {context['le']}"
        case "greater_than_equal":
            found = f"{value} is too small", f"write at least {context['ge']}"
        case "string_pattern_mismatch":
            found = f"{quote(value)} is not a valid {key or 'value'}", _example(model, path)
        case _:
            found = f"{quote(value)}: {detail['msg'].lower()}", _example(model, path)
    return found


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


def _example(model: type[BaseModel], path: Path, fallback: str = "see the reference of site files") -> str:
    """How a correct value looks, from the field's own description and examples."""
    owner, key = _type_at(model, path[:-1]), path[-1] if path else ""
    field = _field(owner, str(key)) if owner is not None else None
    examples = field.examples or _schema_examples(field) if field is not None else []
    if field is None or not (examples or fallback):
        return fallback
    about = (field.description or "").rstrip(".")
    shown = f"write `{key}: {examples[0]}`" if examples else f"write `{key}:`"
    return f"{shown} ({about})" if about else shown


def _schema_examples(field: FieldInfo) -> list[Any]:
    """What the type itself gives as an example, also where it is one of a union."""
    parts = [field.annotation, *get_args(field.annotation)]
    metadata = [*field.metadata, *(item for part in parts for item in getattr(part, "__metadata__", ()))]
    for item in metadata:
        schema = getattr(item, "json_schema", None)
        if isinstance(schema, dict) and schema.get("examples"):
            return list(schema["examples"])
    choices = get_args(_inner(field.annotation))
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
