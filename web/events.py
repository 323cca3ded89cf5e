"""What happened, newest first, with older pages behind it. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from web import fleet
from web.access.grants import Level
from web.access.guard import need
from web.lists import to_csv
from web.ports import EventView, Queries

SHOWN = 200


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
        saved = _export(events)
        if saved is not None:
            return saved
        older = before - SHOWN if not subject and before > SHOWN + 1 else 0
        return render_template(
            "events.html", events=events, subject=subject, older=older, newest=before > last
        )

    return blueprint


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _export(events: list[EventView]) -> Response | None:
    wanted = request.args.get("format", "")
    if wanted not in ("csv", "json"):
        return None
    head = ["id", "at", "kind", "subject", "message"]
    rows = [[str(getattr(event, name)) for name in head] for event in events]
    if wanted == "json":
        answer = jsonify([dict(zip(head, row, strict=True)) for row in rows])
    else:
        answer = Response(to_csv(head, rows), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="events.{wanted}"'
    return answer
