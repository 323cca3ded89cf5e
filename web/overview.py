"""The first page: sites → clusters → nodes, what runs, what needs somebody. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from web import fleet
from web.ports import Queries

EVENTS_SHOWN = 20


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("overview", __name__)

    @blueprint.get("/")
    def page() -> ResponseReturnValue:
        found = fleet.gather(queries, clock())
        recent = fleet.latest_events(queries, EVENTS_SHOWN)
        return render_template("overview.html", fleet=found, events=list(reversed(recent)))

    @blueprint.get("/api/v1/fleet")
    def api() -> ResponseReturnValue:
        now = clock()
        return jsonify(fleet.to_dict(fleet.gather(queries, now), queries, now))

    return blueprint
