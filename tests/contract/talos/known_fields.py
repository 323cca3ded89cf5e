"""Makes roles/config_fields.json from what the official loaders say of their own types, all minors in one.

    python -m tests.contract.talos.known_fields > roles/config_fields.json

Kinds that no minor is asked for are not found by themselves: a new minor's are added to `KINDS` first.
"""

import json
import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from roles import config_known
from tests.contract.talos import judges


def shape(minor: str, kinds: Iterable[str]) -> dict[str, Any]:
    """What one minor's loader knows: `types` and `documents`."""
    [answer] = judges.ask(minor, [{"op": "fields", "kinds": sorted(kinds)}])
    if answer["error"]:
        raise RuntimeError(answer["error"])
    return dict(answer["shape"])


def table(kinds: Iterable[str]) -> str:
    """The file's text, with one line for each type."""
    shapes = {int(minor.partition(".")[2]): shape(minor, kinds) for minor in judges.MINORS}
    names = sorted({name for one in shapes.values() for name in one["types"]})
    documents = {kind: of for one in shapes.values() for kind, of in one["documents"].items()}
    lines = [f"  {json.dumps(name)}: {json.dumps(_merged(name, shapes))}" for name in names]
    return (
        '{"documents": '
        + json.dumps(dict(sorted(documents.items())))
        + ',\n "types": {\n'
        + ",\n".join(lines)
        + "\n}}\n"
    )


def _merged(name: str, shapes: dict[int, Any]) -> dict[str, str]:
    """Key → "8-13 type", with "; " between stretches of minors that differ."""
    keys = sorted({key for one in shapes.values() for key in one["types"].get(name, ())})
    return {key: "; ".join(_ages(name, key, shapes)) for key in keys}


def _ages(name: str, key: str, shapes: dict[int, Any]) -> Iterable[str]:
    known = [(minor, one["types"].get(name, {}).get(key)) for minor, one in sorted(shapes.items())]
    for value, stretch in groupby(known, key=lambda each: each[1]):
        minors = [minor for minor, _ in stretch]
        if value is not None:
            yield f"{minors[0]}-{minors[-1]} {value}".rstrip()


if __name__ == "__main__":
    sys.stdout.write(table(config_known.kinds()))
