"""Reads events: in order or the newest first; of everything, of one subject, or of those that one may see."""

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Any

from web.events_port import EventSearch, FoundEvents
from web.ports import EventView

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]
NEAR = 5_000  # rows that are looked through before each subject is asked for by the index
LOOKED_THROUGH = 20_000  # rows of one search
_AFTER_ALL = 2**62
_SPAN = "SELECT * FROM events WHERE id > ? AND id < ? ORDER BY id"
_TEXT = "(kind || ' ' || subject || ' ' || message)"
_LIKE = str.maketrans({"%": "!%", "_": "!_", "!": "!!"})
_MOST_WORDS = 8
_AMONG = "subject IN (SELECT value FROM json_each(?))"


def events(
    rows: Rows,
    *,
    limit: int,
    after: int = 0,
    before: int = 0,
    newest: bool = False,
    subjects: Collection[str] | None = None,
    near: int = NEAR,
) -> tuple[EventView, ...]:
    """Between `after` and `before`, both left out (0: no such end); `subjects` None: of everything."""
    order = "DESC" if newest else "ASC"
    span = [after, before or _AFTER_ALL]
    if subjects is None:
        return tuple(map(_view, rows(f"{_SPAN} {order} LIMIT ?", [*span, limit])))
    chosen = json.dumps(sorted(subjects))
    if len(subjects) > 1:
        nearest = f"SELECT * FROM ({_SPAN} {order} LIMIT ?) WHERE {_AMONG} ORDER BY id {order} LIMIT ?"  # noqa: S608 -- constants
        found = rows(nearest, [*span, near, chosen, limit])
        if len(found) == limit:
            return tuple(map(_view, found))
    # Of few, or of those to whom little happens.
    every = f"SELECT * FROM events INDEXED BY events_of_subject WHERE {_AMONG} AND id > ? AND id < ?"  # noqa: S608 -- constants
    return tuple(map(_view, rows(f"{every} ORDER BY id {order} LIMIT ?", [chosen, *span, limit])))


def search(
    rows: Rows, asked: EventSearch, subjects: Collection[str] | None, *, most: int = LOOKED_THROUGH
) -> FoundEvents:
    """At most so many are looked through at once: an answer comes soon, however rare what is asked for is."""
    after, before = (asked.start, _AFTER_ALL) if asked.oldest else (0, asked.start or _AFTER_ALL)
    if asked.everything:
        newest, limit = not asked.oldest, asked.limit + 1
        found = events(rows, limit=limit, after=after, before=before, newest=newest, subjects=subjects)
        return _cut(found, asked)
    walk, along = _walk(asked, subjects)
    order = "ASC" if asked.oldest else "DESC"
    near = f"{walk} AND id > ? AND id < ?"
    last = rows(f"SELECT id {near} ORDER BY id {order} LIMIT 1 OFFSET ?", [*along, after, before, most - 1])
    stop = last[0]["id"] if last else 0
    if stop:
        after, before = (after, stop + 1) if asked.oldest else (stop - 1, before)
    that, values = _wanted(asked, subjects)
    rest = rows(
        f"SELECT * {near}{that} ORDER BY id {order} LIMIT ?",
        [*along, after, before, *values, asked.limit + 1],
    )
    page = _cut(tuple(map(_view, rest)), asked)
    return page if page.next or not stop else FoundEvents(page.events, stop, most)


def _cut(found: Sequence[EventView], asked: EventSearch) -> FoundEvents:
    shown = found[: asked.limit]
    return FoundEvents(shown, shown[-1].id if len(found) > len(shown) else 0)


def _walk(asked: EventSearch, subjects: Collection[str] | None) -> tuple[str, list[Any]]:
    """Along which index it goes: that of which the fewest have to be looked at."""
    if subjects is not None and len(subjects) == 1:
        return "FROM events INDEXED BY events_of_subject WHERE subject = ?", [*subjects]
    if asked.kind:
        return "FROM events INDEXED BY events_of_kind WHERE kind = ?", [asked.kind]
    return "FROM events NOT INDEXED WHERE true", []


def _wanted(asked: EventSearch, subjects: Collection[str] | None) -> tuple[str, list[Any]]:
    conditions, values = "", list[Any]()
    if subjects is not None:
        conditions += f" AND {_AMONG}"
        values.append(json.dumps(sorted(subjects)))
    if asked.kind:
        conditions += " AND kind = ?"
        values.append(asked.kind)
    for word in asked.text.split()[:_MOST_WORDS]:
        conditions += f" AND {_TEXT} LIKE ? ESCAPE '!'"
        values.append(f"%{word.translate(_LIKE)}%")
    return conditions, values


def _view(row: sqlite3.Row) -> EventView:
    data = row["data"]
    about = {} if data == "{}" else json.loads(data)
    return EventView(row["id"], row["at"], row["kind"], row["subject"], row["message"], about)
