"""Texts of site files → checked documents, each by itself. What they say of each other is checked later.

Takes texts, not paths: reading files is the caller's business.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from inventory.documents import kinds
from inventory.errors import Problem, SiteFileError
from inventory.findings import problems_of, suggest
from inventory.model import API_VERSION, Document, without_nulls
from inventory.values import quote
from inventory.yaml_source import Path, SourceDocument, load, show_path

D = TypeVar("D", bound=Document)
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Declared(Generic[D]):
    """One valid document and where it came from."""

    model: D
    source: SourceDocument

    @property
    def name(self) -> str:
        return self.model.metadata.name

    @property
    def at(self) -> str:
        return f"{self.source.file}:{self.source.line}"


@dataclass(slots=True)
class Problems:
    """Collects problems, to report all of them at once."""

    found: list[Problem] = field(default_factory=list)

    def add(self, problems: Iterable[Problem]) -> None:
        self.found.extend(problems)

    def note(self, source: SourceDocument, path: Path, what: str, fix: str) -> None:
        """A problem at a path of a document."""
        line = source.line_of(path)
        self.found.append(Problem(file=source.file, line=line, path=show_path(path), what=what, fix=fix))

    def check(
        self, model: type[M], data: Any, source: SourceDocument, prefix: Path = (), note: str = ""
    ) -> M | None:
        """`data`, which stands below `prefix` in `source`, as a `model`; None if problems were found."""
        try:
            return model.model_validate(without_nulls(data))
        except ValidationError as error:
            self.add(problems_of(error, model, source, prefix, note))
            return None

    def raise_if_any(self) -> None:
        if self.found:
            raise SiteFileError(self.report())

    def report(self) -> tuple[Problem, ...]:
        """In the order of the files. One place in a template is told once, however many sites fill it in."""
        grouped: dict[tuple[str, int, str, str], list[Problem]] = {}
        for problem in sorted(self.found, key=lambda problem: (problem.file, problem.line)):
            grouped.setdefault((problem.file, problem.line, problem.path, problem.fix), []).append(problem)
        return tuple(_together(problems) for problems in grouped.values())


def _together(problems: list[Problem]) -> Problem:
    first, rest = problems[0], {problem.what for problem in problems} - {problems[0].what}
    what = f"{first.what} (and {len(rest)} more like it)" if rest else first.what
    return Problem(file=first.file, line=first.line, path=first.path, what=what, fix=first.fix)


class Documents:
    """The documents of all files, by kind, in the order of the files."""

    def __init__(self, declared: Iterable[Declared[Document]]) -> None:
        self._all = tuple(declared)

    def of(self, kind: type[D]) -> Iterator[Declared[D]]:
        for item in self._all:
            if isinstance(item.model, kind):
                yield Declared(item.model, item.source)

    def __len__(self) -> int:
        return len(self._all)


def read(texts: Mapping[str, str]) -> Documents:
    """File name → text, to documents. Raises SiteFileError with the problems of all files."""
    problems = Problems()
    found: list[Declared[Document]] = []
    for file, text in texts.items():
        try:
            sources = load(text, file)
        except SiteFileError as error:
            problems.add(error.problems)
            continue
        for source in sources:
            model = _document(source, problems)
            if model is not None:
                found.append(Declared(model, source))
    _each_name_once(found, problems)
    if not found and not problems.found:
        file = next(iter(texts), "site file")
        empty = SourceDocument(None, file, 1)
        problems.note(empty, (), "there is no document in it", "start from a file of the examples folder")
    problems.raise_if_any()
    return Documents(found)


def _document(source: SourceDocument, problems: Problems) -> Document | None:
    data = source.data
    if not isinstance(data, dict):
        problems.note(source, (), "a document is a map of keys", f"begin it with `apiVersion: {API_VERSION}`")
        return None
    if data.get("apiVersion") != API_VERSION:
        said = (
            "apiVersion is missing"
            if "apiVersion" not in data
            else f"unknown apiVersion {quote(data['apiVersion'])}"
        )
        problems.note(source, ("apiVersion",), said, f"write `apiVersion: {API_VERSION}`")
        return None
    kind = data.get("kind")
    model = kinds().get(kind) if isinstance(kind, str) else None
    if model is None:
        said = "kind is missing" if kind is None else f"unknown kind {quote(kind)}"
        problems.note(source, ("kind",), said, suggest(str(kind or ""), list(kinds()), "kind"))
        return None
    return problems.check(model, data, source)


def _each_name_once(found: list[Declared[Document]], problems: Problems) -> None:
    first: dict[tuple[str, str], Declared[Document]] = {}
    for item in found:
        kind = type(item.model).__name__
        earlier = first.setdefault((kind, item.name), item)
        if earlier is not item:
            path = ("metadata", "name")
            at = f"{earlier.source.file}:{earlier.source.line_of(path)}"
            problems.note(
                item.source,
                path,
                f"{kind} {item.name!r} is declared twice",
                f"rename or remove one; the first is at {at}",
            )
