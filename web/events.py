"""What happened, newest first. Reads only."""

import dataclasses
from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from web import fleet
from web.ports import Queries

MOST = 500


def make(queries: Queries, _clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("events", __name__)

    @blueprint.get("/events")
    def page() -> ResponseReturnValue:
        recent = fleet.latest_events(queries, MOST)
        return render_template("events.html", events=list(reversed(recent)))

    @blueprint.get("/api/v1/events")
    def api() -> ResponseReturnValue:
        """`?after=ID` gives what came after that event, at most 500."""
        after = request.args.get("after", default=0, type=int)
        found = queries.events(max(0, after), MOST)
        return jsonify(events=[dataclasses.asdict(event) for event in found], last=queries.last_event_id())

    return blueprint
