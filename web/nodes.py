"""Nodes: the list of them; and one: state, disks, what happened, what it was found to be. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from inventory.wording import reached_at
from web import fleet, machine, present
from web.access.grants import Level
from web.access.guard import need
from web.lists import Code, Column, Link, Seen, export, listing
from web.ports import NodeView, Queries

EVENTS_SHOWN, SNAPSHOTS_SHOWN = 100, 50


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("nodes", __name__, url_prefix="/nodes")

    @blueprint.get("")
    @need(Level.VIEWER)
    def index() -> ResponseReturnValue:
        nodes, columns = queries.nodes(), _columns(clock())
        saved = export(nodes, columns, "nodes")
        if saved is not None:
            return saved
        return render_template("nodes.html", listing=listing(nodes, columns, command="cto node list"))

    @blueprint.get("/<name>")
    @need(Level.VIEWER)
    def page(name: str) -> ResponseReturnValue:
        node = queries.node(name)
        happened = fleet.latest_events(queries, EVENTS_SHOWN, f"node/{name}")
        taken = queries.facts(name, 1)
        return render_template(
            "node.html",
            node=node,
            events=list(reversed(happened)),
            taken=taken[0] if taken else None,
            machine=machine.of(taken[0]) if taken else None,
        )

    @blueprint.get("/<name>/facts")
    @need(Level.VIEWER)
    def facts(name: str) -> ResponseReturnValue:
        node, taken = queries.node(name), queries.facts(name, SNAPSHOTS_SHOWN)
        chosen = _index(request.args.get("of", "0"), len(taken))
        changes = machine.changes(taken[chosen + 1], taken[chosen]) if chosen + 1 < len(taken) else None
        return render_template("facts.html", node=node, taken=taken, chosen=chosen, changes=changes)

    return blueprint


def _columns(now: datetime) -> list[Column[NodeView]]:
    return [
        Column(
            "node", "Node", lambda n: Link(n.name, url_for("nodes.page", name=n.name)), words=lambda n: n.name
        ),
        Column("site", "Site", lambda n: n.site, True),
        Column("cluster", "Cluster", lambda n: n.cluster, True),
        Column("role", "Role", lambda n: n.role, True),
        Column("state", "State", lambda n: present.node_badge(n, now), True),
        Column("talos", "Talos", lambda n: n.talos, True),
        Column("address", "Address", lambda n: Code(reached_at(n.address, n.ssh_port, n.jump))),
        Column("known", "Known", lambda n: Seen(n.seen_at), order=lambda n: n.seen_at),
        Column("problem", "Problem", lambda n: n.problem),
    ]


def _index(text: str, count: int) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    return number if number < count else 0
