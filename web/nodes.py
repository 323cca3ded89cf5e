"""Nodes: the list of them; and one: state, disks, what happened, what it was found to be. Reads only."""

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from inventory.wording import reached_at
from web import fleet, machine, node_steps, present
from web.access.grants import Level
from web.access.guard import need
from web.lists import Code, Column, Link, Seen, export, listing
from web.ports import NodeView, Queries

EVENTS_SHOWN, SNAPSHOTS_SHOWN, STEPS_SHOWN, CHANGES_SHOWN = 100, 50, 30, 12
_NAME, _SITE, _CLUSTER, _ROLE, _TALOS = map(attrgetter, ("name", "site", "cluster", "role", "talos"))


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

    _one(blueprint, queries, clock)
    return blueprint


def _one(blueprint: Blueprint, queries: Queries, clock: Callable[[], datetime]) -> None:
    @blueprint.get("/<name>")
    @need(Level.VIEWER)
    def page(name: str) -> ResponseReturnValue:
        node = queries.node(name)
        happened = fleet.latest_events(queries, EVENTS_SHOWN, f"node/{name}")
        taken = queries.facts(name, 2)
        changes = machine.changes(taken[1], taken[0]) if len(taken) > 1 else None
        return render_template(
            "node.html",
            node=node,
            events=[each for each in reversed(happened) if each.kind not in node_steps.KINDS],
            steps=node_steps.step_log(happened, node)[:STEPS_SHOWN],
            way=node_steps.way(node),
            left=present.seconds_left(node, clock()),
            taken=taken[0] if taken else None,
            machine=machine.of(taken[0]) if taken else None,
            changes=changes or [],
            changes_shown=CHANGES_SHOWN,
        )

    @blueprint.get("/<name>/facts")
    @need(Level.VIEWER)
    def facts(name: str) -> ResponseReturnValue:
        node, taken = queries.node(name), queries.facts(name, SNAPSHOTS_SHOWN)
        chosen = _index(request.args.get("of", "0"), len(taken), 0)
        other = _index(request.args.get("with", ""), len(taken), chosen + 1)
        older, newer = max(chosen, other), min(chosen, other)
        changes = machine.changes(taken[older], taken[newer]) if older < len(taken) else None
        return render_template(
            "facts.html", node=node, taken=taken, chosen=chosen, other=other, changes=changes
        )


def _columns(now: datetime) -> list[Column[NodeView]]:
    return [
        Column("node", "Node", lambda n: Link(n.name, url_for("nodes.page", name=n.name)), words=_NAME),
        Column("site", "Site", _SITE, True, words=_SITE),
        Column("cluster", "Cluster", _CLUSTER, True, words=_CLUSTER),
        Column("role", "Role", _ROLE, True, words=_ROLE),
        Column("state", "State", lambda n: present.node_badge(n, now), True, moves=True),
        Column("talos", "Talos", _TALOS, True, words=_TALOS),
        Column("address", "Address", lambda n: Code(reached_at(n.address, n.ssh_port, n.jump))),
        Column("known", "Known", lambda n: Seen(n.seen_at), order=lambda n: n.seen_at),
        Column("problem", "Problem", lambda n: n.problem),
    ]


def _index(text: str, count: int, otherwise: int) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else otherwise
    return number if number < count else otherwise
