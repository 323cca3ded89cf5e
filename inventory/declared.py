"""Texts of site files → checked documents, each by itself. What they say of each other is checked later.

Takes texts, not paths: reading files is the caller's business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError

from inventory.documents import kinds
from inventory.errors import Problem, SiteFileError
from inventory.findings import problems_of, suggest
from inventory.model import API_VERSION, Document, without_nulls
from inventory.values import quote
from inventory.yaml_source import Path, SourceDocument, load, show_path

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Declared(Generic[D]):
    """One valid document and where it came from."""

    model: D
    source: SourceDocument

    @property
    def name(self) -> str:
        return self.model.metadata.name


@dataclass(slots=True)
class Problems:
    """Collects problems. Those of one place in a template are told once, however many sites have them."""

    found: dict[tuple[str, int, str], Problem] = field(default_factory=dict)
    repeats: dict[tuple[str, int, str], int] = field(default_factory=dict)

    def add(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            key = (problem.file, problem.line, problem.path)
            if key in self.found and self.found[key].fix == problem.fix:
                self.repeats[key] = self.repeats.get(key, 0) + 1
            else:
                self.found.setdefault((*key[:2], key[2] if key not in self.found else f"{key[2]} "), problem)

    def note(self, source: SourceDocument, path: Path, what: str, fix: str) -> None:
        """A problem at a path of a document."""
        line = source.line_of(path)
        self.add([Problem(file=source.file, line=line, path=show_path(path), what=what, fix=fix)])

    def raise_if_any(self) -> None:
        if self.found:
            raise SiteFileError(self.sorted())

    def sorted(self) -> tuple[Problem, ...]:
        return tuple(sorted(self.found.values(), key=lambda problem: (problem.file, problem.line)))
