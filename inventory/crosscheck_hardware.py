"""Whether two nodes are to be the same machine. Enrolment would not know which of them it became."""

from collections.abc import Iterator, Mapping
from typing import Any

from inventory.findings import Finding


def twins(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """`nodes`: name → effective tree."""
    seen: dict[tuple[str, str], str] = {}
    for name, tree in nodes.items():
        for kind, value in tree.get("hardware", {}).items():
            first = seen.setdefault((kind, value if kind == "serial" else value.lower()), name)
            if first != name:
                what = f"nodes {first} and {name} are to be the same machine: {kind} {value}"
                fix = "correct one of them; each machine has its own"
                yield Finding("nodes", name, ("hardware", kind), what, fix)
