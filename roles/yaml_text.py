"""YAML out, one way: block style, four spaces, keys in the order given, equal values → equal bytes.

Strings that a YAML 1.2 reader (Go's) could take for a number, a boolean or null are quoted, which PyYAML,
a YAML 1.1 writer, does not do in every case. Reads nothing.
"""

import re
from collections.abc import Sequence
from typing import Any

import yaml

_LOOKS_LIKE_A_NUMBER = re.compile(r"[-+.0-9]")
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the C emitter is about eight times as fast


class _Dumper(_Base):  # type: ignore[misc]  # PyYAML's C classes have no types
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # the signature is PyYAML's
        return True  # a value used twice is written twice: other readers refuse or miscount aliases


def _string(dumper: Any, value: str) -> Any:
    if "\n" in value:
        style = "|"
    elif _LOOKS_LIKE_A_NUMBER.match(value):
        style = '"'
    else:
        style = None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _string)


def dump(document: Any) -> str:
    """One document."""
    return str(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, indent=4, width=10**9)
    )


def dump_all(documents: Sequence[Any]) -> str:
    """Several, separated by `---`; none before the first."""
    return "---\n".join(dump(document) for document in documents)
