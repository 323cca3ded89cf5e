"""`${name}` in a template's body → the site's value; `count` → that many nodes. No expressions, no lookups.

The whole value `${octet}` keeps its type; inside other text it becomes text. `$${` is a literal `${`.
Positions in the template stay valid in the result, except that repeated nodes share theirs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.yaml_source import Path

_VARIABLE = re.compile(r"(\$?)\$\{([^{}]*)\}")
MAX_COUNT = 500


@dataclass(slots=True)
class Filler:
    """Fills in one site's variables and notes the names that are not declared, with where they stand."""

    variables: Mapping[str, Any]
    unknown: list[tuple[str, Path]] = field(default_factory=list)

    def fill(self, tree: Any, path: Path = ()) -> Any:
        """A copy of `tree` with the variables filled in; keys are left alone."""
        if isinstance(tree, dict):
            return {key: self.fill(value, (*path, key)) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(tree)]
        return self._text(tree, path) if isinstance(tree, str) and "${" in tree else tree

    def repeat(self, nodes: list[Any], path: Path) -> Iterator[tuple[int, Any]]:
        """(position in the template, filled node) for every node; one with `count` comes that many times."""
        for position, node in enumerate(nodes):
            here = (*path, position)
            count = self.fill(node.get("count"), (*here, "count")) if isinstance(node, dict) else None
            if type(count) is not int or not 0 <= count <= MAX_COUNT:
                yield position, self.fill(node, here)  # no count, or one that validation will refuse
                continue
            for index in range(1, count + 1):
                inner = Filler({**self.variables, "index": index}, self.unknown)
                yield position, inner.fill(node, here)

    def _text(self, text: str, path: Path) -> Any:
        whole = _VARIABLE.fullmatch(text)
        if whole and not whole[1]:
            return self._value(whole, path)
        return _VARIABLE.sub(
            lambda match: match[0][1:] if match[1] else str(self._value(match, path)),
            text,
        )

    def _value(self, match: re.Match[str], path: Path) -> Any:
        name = match[2].strip()
        if name not in self.variables:
            self.unknown.append((name, path))
            return match[0]
        return self.variables[name]
