"""Layers of plain data, lowest first: maps merge, lists and values replace, null removes, patches add up.

A stack keeps its layers, so that it can say of each value which layer and line set it. Knows no kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inventory.yaml_source import Path, SourceDocument

ACCUMULATE = "patches"  # the one list in which layers add instead of replacing
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Origin:
    """One layer's word on one path. `line` 0: not from a file."""

    layer: str
    value: Any  # None: this layer removes what it inherits
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of a document (`prefix` says which) under the name that `explain` shows."""

    name: str  # "site berlin"
    data: Mapping[str, Any]
    source: SourceDocument | None = None
    prefix: Path = ()

    def get(self, path: Path) -> Any:
        """The layer's value, or a private marker if it says nothing."""
        value: Any = self.data
        for part in path:
            in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
            if not in_list and not (isinstance(value, Mapping) and part in value):
                return _ABSENT
            value = value[part]
        return value

    def origin(self, path: Path, value: Any) -> Origin:
        if self.source is None:
            return Origin(self.name, value)
        return Origin(self.name, value, self.source.file, self.source.line_of((*self.prefix, *path)))


@dataclass(frozen=True, slots=True)
class Part:
    """A map somewhere in a document, from which layers are made; `name` is theirs too."""

    name: str
    data: Mapping[str, Any]
    source: SourceDocument
    prefix: Path = ()

    def layer(self, *keys: str, title: str = "") -> list[Layer]:
        """The part's map at `keys` as a layer; no layer if there is none."""
        value: Any = self.data
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping):
            return []
        return [Layer(title or self.name, value, self.source, (*self.prefix, *keys))]

    def only(self, *keys: str) -> Layer:
        """These keys of the part's map as a layer."""
        data = {key: value for key, value in self.data.items() if key in keys}
        return Layer(self.name, data, self.source, self.prefix)

    def without(self, *keys: str, **also: str) -> Layer:
        """All but these keys as a layer, and what it says `also`."""
        data = {key: value for key, value in self.data.items() if key not in keys}
        return Layer(self.name, {**data, **also}, self.source, self.prefix)

    def at(self, key: str) -> str:
        return f"{self.source.file}:{self.source.line_of((*self.prefix, key))}"


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers in the order in which they apply; the last one wins."""

    layers: tuple[Layer, ...]

    def merged(self) -> dict[str, Any]:
        """What holds. Layers from no file lie below all others, so null brings a built-in default back."""
        below: dict[str, Any] = {}
        written: dict[str, Any] = {}
        for layer in self.layers:
            if layer.source is None:
                below = merge(below, layer.data)
            else:
                written = merge(written, layer.data)
        return merge(below, written)

    def explain(self, path: Path) -> tuple[Origin, ...]:
        """Every layer that says something of this path, in order: the last one is what holds."""
        said = ((layer, layer.get(path)) for layer in self.layers)
        origins = tuple(layer.origin(path, value) for layer, value in said if value is not _ABSENT)
        if origins and origins[-1].value is None:  # removed, so a built-in default holds again
            return origins + tuple(origin for origin in origins[:-1] if not origin.line)[-1:]
        return origins

    def where(self, path: Path) -> Origin:
        """Who set a path last; for a path that nobody set, who set its nearest parent."""
        for length in range(len(path), -1, -1):
            written = [
                layer for layer in self.layers if layer.source and layer.get(path[:length]) is not _ABSENT
            ]
            if written:
                # The whole path: a key may stand in the document though the layer leaves it out.
                return written[-1].origin(path, written[-1].get(path[:length]))
        return Origin("", None)


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """`upper` over `lower`. Neither is changed; the result holds no nulls but those inside patches."""
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        if value is None:
            result.pop(key, None)
        elif key == ACCUMULATE and isinstance(value, list):
            result[key] = [*(below or []), *value]
        elif isinstance(value, Mapping):
            result[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def find_path(tree: Any, dotted: str) -> Path | None:
    """The keys that `settings.sysctls.vm.swappiness` means in `tree`, where keys may hold dots themselves."""
    if not dotted:
        return ()
    if not isinstance(tree, Mapping):
        return None
    for key in sorted(tree, key=len, reverse=True):
        if dotted == key:
            return (key,)
        if dotted.startswith(f"{key}."):
            rest = find_path(tree[key], dotted[len(key) + 1 :])
            if rest is not None:
                return (key, *rest)
    return None
