"""What happened, newest first, with older pages behind it. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from web import fleet
from web.access.grants import Level
from web.access.guard import need
from web.lists import attachment, wanted_format
from web.ports import Queries

SHOWN = 200
_HEAD = ("id", "at", "kind", "subject", "message")


def make(queries: Queries, _clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("events", __name__)

    @blueprint.get("/events")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        subject = request.args.get("subject", "")[:256]
        last = queries.last_event_id()
        before = _number(request.args.get("before", "")) or last + 1
        if subject:
            found = [e for e in fleet.latest_events(queries, SHOWN, subject) if e.id < before]
        else:
            after = max(0, before - 1 - SHOWN)
            found = [e for e in queries.events(after, SHOWN) if e.id < before]
        events = list(reversed(found))
        if wanted_format():
            return attachment(_HEAD, [[str(getattr(e, name)) for name in _HEAD] for e in events], "events")
        older = before - SHOWN if not subject and before > SHOWN + 1 else 0
        return render_template(
            "events.html", events=events, subject=subject, older=older, newest=before > last
        )

    return blueprint


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
