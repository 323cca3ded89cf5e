"""One node: what is known of it, since when, and what happened. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from web import fleet
from web.ports import Queries

EVENTS_SHOWN = 100


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("nodes", __name__)

    @blueprint.get("/nodes/<name>")
    def page(name: str) -> ResponseReturnValue:
        node = queries.node(name)
        happened = fleet.latest_events(queries, EVENTS_SHOWN, f"node/{name}")
        return render_template(
            "node.html", node=node, events=list(reversed(happened)), facts=queries.facts(name, 1)
        )

    @blueprint.get("/api/v1/nodes/<name>")
    def api(name: str) -> ResponseReturnValue:
        return jsonify(fleet.node_dict(queries.node(name), clock()))

    return blueprint
