"""Which nodes a command is about: `--site --cluster --node -l key=value`. Picks, changes nothing.

Values of one kind are alternatives, different kinds narrow each other, and every label must match.
An empty selection is the whole fleet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

from inventory.errors import OperatorError
from inventory.fleet import Fleet, Node


@dataclass(frozen=True, slots=True)
class Selection:
    sites: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(
        cls,
        sites: Iterable[str] = (),
        clusters: Iterable[str] = (),
        nodes: Iterable[str] = (),
        labels: Iterable[str] = (),
    ) -> Self:
        """From the words of a command line; several names may be joined by commas."""
        pairs: dict[str, str] = {}
        for word in _split(labels):
            key, sign, value = word.partition("=")
            if not sign or not key:
                raise OperatorError(
                    f"{word!r} is not a label selector", fix="write key=value, such as -l region=eu"
                )
            if pairs.get(key, value) != value:
                raise OperatorError(
                    f"label {key!r} is asked to be both {pairs[key]!r} and {value!r}",
                    fix="give each label key once",
                )
            pairs[key] = value
        return cls(_split(sites), _split(clusters), _split(nodes), tuple(pairs.items()))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(
            tuple(data.get("sites", ())),
            tuple(data.get("clusters", ())),
            tuple(data.get("nodes", ())),
            tuple((str(key), str(value)) for key, value in data.get("labels", {}).items()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, without what is empty."""
        full = {
            "sites": list(self.sites),
            "clusters": list(self.clusters),
            "nodes": list(self.nodes),
            "labels": dict(self.labels),
        }
        return {key: value for key, value in full.items() if value}

    @property
    def everything(self) -> bool:
        return not (self.sites or self.clusters or self.nodes or self.labels)

    def __str__(self) -> str:
        parts = [f"site {name}" for name in self.sites]
        parts += [f"cluster {name}" for name in self.clusters]
        parts += [f"node {name}" for name in self.nodes]
        parts += [f"label {key}={value}" for key, value in self.labels]
        return ", ".join(parts) or "everything"

    def matches(self, node: Node) -> bool:
        return (
            (not self.sites or node.site in self.sites)
            and (not self.clusters or node.cluster in self.clusters)
            and (not self.nodes or node.name in self.nodes)
            and all(node.labels.get(key) == value for key, value in self.labels)
        )

    def pick(self, fleet: Fleet) -> tuple[Node, ...]:
        """The nodes that match, in the fleet's order. OperatorError for unknown names or nothing found."""
        known_names: tuple[tuple[str, Sequence[str], Iterable[str]], ...] = (
            ("site", self.sites, fleet.sites),
            ("cluster", self.clusters, fleet.clusters),
            ("node", self.nodes, fleet.nodes),
        )
        for kind, wanted, known in known_names:
            for name in wanted:
                _check_known(kind, name, tuple(known))
        found = tuple(node for node in fleet.nodes.values() if self.matches(node))
        if not found and not self.everything:
            raise OperatorError(f"no node matches {self}", fix=_label_hint(self, fleet))
        return found


def _split(words: Iterable[str]) -> tuple[str, ...]:
    parts = (part.strip() for word in words for part in word.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _check_known(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name in known:
        return
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        fix = "did you mean " + " or ".join(repr(match) for match in close) + "?"
    elif known:
        fix = f"known: {', '.join(known[:10])}" + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    else:
        fix = f"the site files declare no {kind}"
    raise OperatorError(f"there is no {kind} {name!r}", fix=fix)


def _label_hint(selection: Selection, fleet: Fleet) -> str:
    for key, _ in selection.labels:
        values = sorted({node.labels[key] for node in fleet.nodes.values() if key in node.labels})
        if not values:
            keys = sorted({key for node in fleet.nodes.values() for key in node.labels})
            return f"no node has a label {key!r}; labels in use: {', '.join(keys[:10]) or 'none'}"
        if dict(selection.labels)[key] not in values:
            return f"values of {key!r} in use: {', '.join(values[:10])}"
    return "loosen the selection: the names exist, but no node has all of them at once"
