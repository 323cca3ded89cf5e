"""The keys that each Talos minor knows in a machine configuration, at every depth. Judges no value.

Talos refuses a key that it does not know, wherever it stands. The table `config_fields.json` is what the
official loaders themselves say of their types, minor by minor; tests/contract/talos writes it and holds it to
them. Under a value that may be anything (the kubelet's own configuration, labels) every key is good.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_CLOSE = 0.6  # how alike a key must be to a known one to be taken for a slip of the pen
_LONGEST = 64  # of an unknown key that is repeated in a message


@dataclass(frozen=True, slots=True)
class Known:
    """A key of a type. Under it is `value`: "" anything, a type, a list "[]…" or a map "{}…" of one."""

    since: int  # Talos minor
    until: int
    value: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A key that this Talos refuses. `path` is where it stands, in the words of the file."""

    path: str
    why: str = ""  # the nearest known name, or the minors that know it


@cache
def kinds() -> Mapping[str, int]:
    """Kind of document → the first minor of Talos 1.x that knows it."""
    types, documents = _table()
    return {kind: types[of]["kind"][0].since for kind, of in documents.items() if kind}


@cache
def keys(path: str, minor: int) -> frozenset[str]:
    """The keys known below a dotted path of the main document: `keys("machine.install", 13)`."""
    here = _table()[1][""]
    for key in filter(None, path.split(".")):
        here = _at(here, key, minor)
    return frozenset(key for key in _table()[0].get(here, {}) if _of(here, key, minor))


def unknown_keys(document: Mapping[str, Any], minor: int) -> Iterator[Unknown]:
    """In the order of the file. A document of an unknown kind has none: who looks at kinds says that."""
    kind, name = str(document.get("kind") or ""), document.get("name")
    start = _table()[1].get(kind)
    if start is None or kinds().get(kind, 0) > minor:
        return
    at = f"{kind} {name}" if kind and isinstance(name, str) else kind
    yield from _walk(document, start, minor, at)


def _walk(value: Any, of: str, minor: int, at: str) -> Iterator[Unknown]:
    mark, inner = of[:2], of[2:]
    if not of or value is None:
        return
    if mark == "[]" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, inner, minor, f"{at}[{number}]")
    elif mark == "{}" and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, inner, minor, f"{at}.{_shown(key)}".lstrip("."))
    elif mark not in ("[]", "{}") and isinstance(value, Mapping):
        for key, item in value.items():
            here = f"{at}.{_shown(key)}".lstrip(".")
            known = _of(of, key, minor)
            if known is None:
                yield Unknown(here, _why(of, str(key), minor))
            else:
                yield from _walk(item, known.value, minor, here)


def _why(of: str, key: str, minor: int) -> str:
    table = _table()[0][of]
    if key in table:
        ages = table[key]
        if ages[0].since > minor:
            return f"it came with Talos 1.{ages[0].since}"
        return f"it went with Talos 1.{max(age.until for age in ages) + 1}"
    here = {name.lower(): name for name in table if _of(of, name, minor)}
    close = difflib.get_close_matches(key.lower(), here, 1, _CLOSE)
    return f"did you mean {here[close[0]]}?" if close else ""


def _shown(key: Any) -> str:
    return str(key)[:_LONGEST]


def _at(of: str, key: str, minor: int) -> str:
    known = _of(of, key, minor)
    return known.value if known else ""


def _of(of: str, key: Any, minor: int) -> Known | None:
    ages = _table()[0].get(of, {}).get(key, ()) if isinstance(key, str) else ()
    return next((age for age in ages if age.since <= minor <= age.until), None)


@cache
def _table() -> tuple[Mapping[str, Mapping[str, tuple[Known, ...]]], Mapping[str, str]]:
    """The types, each with its keys; the kinds of documents, each with its type ("" is the main document)."""
    read = json.loads((files("roles") / "config_fields.json").read_text("utf-8"))
    types = {
        name: {key: tuple(map(_known, text.split("; "))) for key, text in fields.items()}
        for name, fields in read["types"].items()
    }
    return types, read["documents"]


def _known(text: str) -> Known:
    """From "8-13 []v1alpha1.ExtraMount"."""
    ages, _, value = text.partition(" ")
    since, _, until = ages.partition("-")
    return Known(int(since), int(until), value)
