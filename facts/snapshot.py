"""The facts of one machine at one moment: stored, compared, digested. Parses no command output.

The digest is of the values that don't change while the hardware stays the same, so two snapshots of an
unchanged machine have the same digest. Fields marked `VOLATILE` in their model are left out of it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from facts.limits import MAX_LIST, load_json, mapping, sequence, word
from facts.registry import machine_facts
from facts.spec import FactError, FactProblem, FactSpec

T = TypeVar("T")

_SCALARS = frozenset({str, int, float, bool, type(None)})

# Which field names an entry of a list, in order of preference: `disks.items[nvme0n1].size`.
_NAMES = ("name", "path", "slot", "number")


@dataclass(frozen=True, slots=True)
class Facts:
    """`values` by fact name, each an instance of its spec's model."""

    values: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[FactProblem, ...] = ()

    def get(self, spec: FactSpec[T]) -> T | None:
        """The value of a fact, None if there is a problem instead."""
        return cast("T | None", self.values.get(spec.name))

    def with_value(self, spec: FactSpec[T], value: T) -> "Facts":
        return Facts({**self.values, spec.name: value}, self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` is its inverse."""
        return {
            "facts": {name: plain(self.values[name]) for name in sorted(self.values)},
            "problems": [{"name": problem.name, "what": problem.what} for problem in self.problems],
        }

    def to_json(self) -> str:
        """Canonical: equal facts give equal text."""
        return canonical(self.to_dict())

    def digest(self) -> str:
        """SHA-256 (hex) of the steady values."""
        return hashlib.sha256(canonical(self.steady()).encode()).hexdigest()

    def steady(self) -> dict[str, Any]:
        """The values without volatile fields, as plain data."""
        found = {name: plain(self.values[name], volatile=False) for name in sorted(self.values)}
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], specs: Iterable[FactSpec[Any]] | None = None) -> "Facts":
        """Reads `to_dict` of this or an earlier program: unknown facts and fields are passed over.
        Raises FactError for data of another shape.
        """
        stored = mapping(data.get("facts"), what="facts")
        found = sequence(data.get("problems", []), what="problems")
        values = {
            spec.name: _revive(spec.model, stored[spec.name])
            for spec in (machine_facts() if specs is None else specs)
            if spec.name in stored
        }
        problems = (mapping(each, what="a problem") for each in found[:MAX_LIST])
        return cls(
            values, tuple(FactProblem(word(each.get("name")), word(each.get("what"))) for each in problems)
        )

    @classmethod
    def from_json(cls, text: str, specs: Iterable[FactSpec[Any]] | None = None) -> "Facts":
        return cls.from_dict(mapping(load_json(text), what="a facts document"), specs)


@dataclass(frozen=True, slots=True)
class Change:
    """`before` is None for what is new, `after` is None for what is gone."""

    path: str  # "disks.items[nvme0n1].serial"
    before: Any
    after: Any


def diff(old: Facts, new: Facts) -> tuple[Change, ...]:
    """What changed between two snapshots, volatile values aside. Equal digests give no change."""
    return tuple(_changes("", old.steady(), new.steady()))


def canonical(data: Any) -> str:
    return _CANONICAL.encode(data)


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain(value: Any, *, volatile: bool = True) -> Any:
    """A model as dictionaries, lists and scalars; without its volatile fields if so asked."""
    kind: type = type(value)
    if kind in _SCALARS:
        return value
    if kind is tuple:
        return [each if type(each) in _SCALARS else plain(each, volatile=volatile) for each in value]
    names = _field_names(kind)
    if names is None:
        return value
    # Most values of most models are scalars: they are not worth a call each.
    return {
        name: found if type(found := getattr(value, name)) in _SCALARS else plain(found, volatile=volatile)
        for name in names[volatile]
    }


@cache
def _field_names(model: Any) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of the steady fields, and of all; None for what is no model."""
    if not is_dataclass(model):
        return None
    every = fields(model)
    return (
        tuple(each.name for each in every if not each.metadata.get("volatile")),
        tuple(each.name for each in every),
    )


def _revive(model: Any, data: Any) -> Any:
    from pydantic import ValidationError  # here: only who reads snapshots pays for it

    try:
        # By way of JSON text: strict types, and lists become the models' tuples.
        return _adapter(model).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FactError(
            f"a stored fact does not fit {model.__name__}: {where}: {first['msg']}",
            fix="gather the facts again",
        ) from error


@cache
def _adapter(model: Any) -> Any:
    from pydantic import TypeAdapter  # here: as above

    return TypeAdapter(model)


def _key(entry: Any) -> str:
    if isinstance(entry, dict):
        return next((str(entry[name]) for name in _NAMES if entry.get(name)), "")
    return ""


def _changes(path: str, old: Any, new: Any) -> Iterable[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _changes(f"{path}.{name}" if path else name, old.get(name), new.get(name))
        return
    if isinstance(old, list) and isinstance(new, list):
        before, after = ({_key(each): each for each in side} for side in (old, new))
        # By name where each entry has one of its own, as a whole otherwise.
        if "" not in before | after and len(before) == len(old) and len(after) == len(new):
            for name in sorted({*before, *after}):
                yield from _changes(f"{path}[{name}]", before.get(name), after.get(name))
            return
    yield Change(path, old, new)
