"""Lists of things: filter, sort and page by the address, export as CSV and JSON. Every list page uses it.

The state of a list is its URL, so that it can be kept, sent to somebody and read without a script. Draws
nothing (`listing.html` does) and reads nothing: it gets all items that the visitor may see.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from flask import Response, current_app, g, jsonify, request
from werkzeug.datastructures import MultiDict

from web.present import Badge
from web.texts import Texts

T = TypeVar("T")
R = TypeVar("R")
PER_PAGE, MOST_EXPORTED = 50, 100_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A time, shown as an age that says when it is old. `stale`: whether age matters here."""

    at: str
    stale: bool = True


@dataclass(frozen=True, slots=True)
class Code:
    """Text that is copied by machines: an address, a digest."""

    text: str


Cell = str | int | Link | Seen | Code | Badge


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    key: str  # in the URL and in exports
    title: str
    cell: Callable[[T], Cell]
    choices: bool = False  # offers a filter of the values that occur
    order: Callable[[T], Any] | None = None  # what to sort by, if not the text
    words: Callable[[T], str] | None = None  # the cell's text where making the cell costs more
    moves: bool = False  # with time, while the item stays the same; only for one with choices

    def text(self, item: T) -> str:
        return text_of(self.cell(item)) if self.words is None else self.words(item)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """One page of a list, ready to be drawn."""

    columns: Sequence[Column[T]]
    rows: Sequence[T]
    total: int
    unfiltered: int
    page: int
    pages: int
    query: dict[str, str]  # what the URL asks for, cleaned
    options: Mapping[str, Sequence[str]]  # of columns with choices
    path: str
    command: str = ""  # the same on a terminal

    def url(self, **changes: str | int) -> str:
        """This list with something else; a change of anything but the page goes back to the first."""
        query = {key: value for key, value in self.query.items() if key != "page" or "page" in changes}
        query |= {key: str(value) for key, value in changes.items()}
        kept = {key: value for key, value in query.items() if value and (key, value) != ("page", "1")}
        return f"{self.path}?{urlencode(kept)}" if kept else self.path

    def sort_url(self, key: str) -> str:
        return self.url(sort=f"-{key}" if self.query.get("sort") == key else key)

    def sorted_by(self, key: str) -> str:
        """As `aria-sort` says it."""
        return {key: "ascending", f"-{key}": "descending"}.get(self.query.get("sort", ""), "none")


def text_of(cell: Cell) -> str:
    match cell:
        case Link(text=text) | Code(text=text):
            return text
        case Seen(at=at):
            return at
        case Badge(label=label):
            return label
        case _:
            return str(cell)


def listing(
    items: Sequence[T],
    columns: Sequence[Column[T]],
    args: "MultiDict[str, str] | None" = None,
    *,
    command: str = "",
    per_page: int = PER_PAGE,
) -> Listing[T]:
    """What the request's URL asks for: `q`, one value for each column with choices, `sort`, `page`."""
    asked = request.args if args is None else args
    query = _cleaned(columns, asked)
    filters = {key: value for key, value in query.items() if key != "page"}
    options = remembered(items, (request.path, "options"), lambda: _options(items, columns))
    key = request.path, *sorted(filters.items())
    chosen = remembered(items, key, lambda: _chosen(items, columns, query, options))
    pages = max(1, -(-len(chosen) // per_page))
    page = min(pages, max(1, int(query.get("page", "1"))))
    rows = chosen[(page - 1) * per_page : page * per_page]
    return Listing(columns, rows, len(chosen), len(items), page, pages, query, options, request.path, command)


def remembered(items: Sequence[T], key: tuple[Any, ...], make: Callable[[], R]) -> R:
    """What was made of the same items of the same moment for another who asked so. The items (and not only
    equal ones) are held as long as what was made of them, so that no others come to have their id.
    """
    moment = g.get("moment") if isinstance(items, tuple) else None
    if moment is None:
        return make()
    kept: tuple[Any, R] = moment.remembered(("list", id(items), *key), lambda: (items, make()))
    return kept[1]


def _chosen(
    items: Sequence[T],
    columns: Sequence[Column[T]],
    query: dict[str, str],
    options: Mapping[str, Sequence[str]],
) -> list[T]:
    found = _filtered(items, columns, query)
    words = query.get("q", "").lower().split()
    if words:
        found = _with_words(found, columns, words, options)
    return _sorted(found, columns, query.get("sort", ""))


def _options(items: Sequence[T], columns: Sequence[Column[T]]) -> dict[str, list[str]]:
    return {
        column.key: sorted(set(map(column.words or column.text, items)) - {""})
        for column in columns
        if column.choices
    }


def wanted_format() -> str:
    """Says csv or json if the URL asks for a file, nothing if it asks for the page."""
    asked = request.args.get("format", "")
    return asked if asked in ("csv", "json") else ""


def export(items: Sequence[T], columns: Sequence[Column[T]], name: str) -> Response | None:
    """The whole list as the URL filters and sorts it, if it asks for a file."""
    if not wanted_format():
        return None
    everything = listing(items, columns, per_page=MOST_EXPORTED)
    rows = [[column.text(item) for column in columns] for item in everything.rows]
    return attachment([column.key for column in columns], rows, name)


def attachment(head: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> Response:
    """A file in the format that the URL asks for."""
    wanted = wanted_format()
    if wanted == "json":
        answer = jsonify([dict(zip(head, row, strict=True)) for row in rows])
    else:
        answer = Response(to_csv(head, rows), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted}"'
    return answer


def to_csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A cell that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    for row in rows:
        writer.writerow(map(guarded, row))
    return out.getvalue()


def guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cleaned(columns: Sequence[Column[T]], args: "MultiDict[str, str]") -> dict[str, str]:
    keys = {column.key for column in columns}
    query = {"q": args.get("q", "").strip()[:200]}
    query |= {column.key: args.get(column.key, "")[:200] for column in columns if column.choices}
    if args.get("sort", "").removeprefix("-") in keys:
        query["sort"] = args["sort"]
    page = args.get("page", "1")
    query["page"] = page if page.isascii() and page.isdecimal() and len(page) < 7 else "1"
    return {key: value for key, value in query.items() if value}


def _filtered(items: Sequence[T], columns: Sequence[Column[T]], query: dict[str, str]) -> list[T]:
    found = list(items)
    for column in columns:
        wanted = query.get(column.key, "") if column.choices else ""
        if wanted:
            text = column.words or column.text
            found = [item for item in found if text(item) == wanted]
    return found


def _with_words(
    items: list[T], columns: Sequence[Column[T]], words: list[str], options: Mapping[str, Sequence[str]]
) -> list[T]:
    """Those that have every word in one of their cells."""
    steady = [column for column in columns if not column.moves]
    values = {column.key: " ".join(options.get(column.key, ())).lower() for column in columns}
    moving = [c for c in columns if c.moves and any(word in values[c.key] for word in words)]
    texts = _texts().of(items, lambda item: "\n".join(column.text(item) for column in steady).lower())

    def fits(item: T, text: str, word: str) -> bool:
        return word in text or any(word in column.text(item).lower() for column in moving)

    return [
        item for item, text in zip(items, texts, strict=True) if all(fits(item, text, word) for word in words)
    ]


def _texts() -> Texts:
    """Those of a list that many share are kept; others are made for one visitor, and so are their texts."""
    if g.get("moment") is None:
        return Texts()
    found: Texts = current_app.extensions.setdefault(f"texts of {request.endpoint}", Texts())
    return found


def _sorted(items: list[T], columns: Sequence[Column[T]], sort: str) -> list[T]:
    column = next((each for each in columns if each.key == sort.removeprefix("-")), None)
    if column is None:
        return items
    chosen = column.order or (lambda item: column.text(item).lower())
    return sorted(items, key=chosen, reverse=sort.startswith("-"))
