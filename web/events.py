"""What happened, the newest first or the oldest, of a subject, a kind or with words; page by page to its end.

Reads only. What is asked for is in the address, and a file that is taken away holds the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from web.access.grants import Level
from web.access.guard import need
from web.access.scoped import OnController
from web.events_port import EventSearch, FoundEvents
from web.lists import wanted_format
from web.ports import Queries
from web.streams import streamed

SHOWN, _PIECE = 200, 500
_HEAD = ("id", "at", "kind", "subject", "message")
Search = Callable[[EventSearch], FoundEvents]


def make(queries: Queries, _clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("events", __name__)
    here = cast(OnController, queries)  # pages are served by the controller itself

    @blueprint.get("/events")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        asked, subject = _asked(), _text("subject", 256)
        # Bound to the visitor now: a file is written when the request is over.
        search = partial(here.search_events, subjects=[subject] if subject else None)
        if wanted_format():
            last = queries.last_event_id()
            return streamed(_HEAD, _all(search, asked, last), "events")
        found = search(asked)
        return render_template("events.html", found=found, **_shown(asked, subject, found))

    return blueprint


def _shown(asked: EventSearch, subject: str, found: FoundEvents) -> dict[str, Any]:
    """What the page says of what was asked. `query` is its address, but for `before` or `after`."""
    query = {"subject": subject, "kind": asked.kind, "q": asked.text}
    query |= {"order": "oldest" if asked.oldest else ""}
    kept: dict[str, Any] = {key: value for key, value in query.items() if value}
    onward: dict[str, Any] = {"after" if asked.oldest else "before": found.next}
    return {
        "asked": asked,
        "subject": subject,
        "query": kept,
        "next_url": url_for("events.page", **kept, **onward) if found.next else "",
        "kinds": sorted({each.kind for each in found.events}),
        "plain": not kept and not asked.start,
    }


def _asked() -> EventSearch:
    oldest = request.args.get("order") == "oldest"
    start = _number(request.args.get("after" if oldest else "before", ""))
    return EventSearch(_text("kind", 64), _text("q", 200), start, SHOWN, oldest)


def _all(search: Search, asked: EventSearch, last: int) -> Iterator[list[list[str]]]:
    """However many there are, and without those after the last, which are told of meanwhile."""
    asked = replace(asked, limit=_PIECE)
    while True:
        found = search(asked)
        yield [[str(e.id), e.at, e.kind, e.subject, e.message] for e in found.events if e.id <= last]
        if not found.next or (asked.oldest and found.next >= last):
            return
        asked = replace(asked, start=found.next)


def _text(name: str, most: int) -> str:
    return request.args.get(name, "").strip()[:most]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
