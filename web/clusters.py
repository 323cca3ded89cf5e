"""Clusters: the list of them, and one with its picture, its quorum and its certificates. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from inventory.errors import UnknownName
from web import fleet, present
from web.access.grants import Level
from web.access.guard import need
from web.fleet import ClusterPart
from web.lists import Code, Column, Link, Seen, export, listing
from web.ports import Queries

EVENTS_SHOWN = 100


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("clusters", __name__, url_prefix="/clusters")

    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        parts = tuple(piece for part in fleet.gather(queries, clock()).sites for piece in part.clusters)
        saved = export(parts, COLUMNS, "clusters")
        if saved is not None:
            return saved
        return render_template("clusters.html", listing=listing(parts, COLUMNS, command="cto cluster list"))

    @blueprint.get("/<name>")
    @need(Level.VIEWER)
    def one(name: str) -> ResponseReturnValue:
        now = clock()
        found = fleet.gather(queries, now)
        for part in found.sites:
            for piece in part.clusters:
                if piece.cluster.name == name:
                    events = fleet.latest_events(queries, EVENTS_SHOWN, f"cluster/{name}")
                    quorum = present.quorum(piece.nodes, now)
                    ends = fleet.expiring([piece.cluster], now)
                    return render_template(
                        "cluster.html",
                        piece=piece,
                        site=part.site,
                        quorum=quorum,
                        ends=ends,
                        events=list(reversed(events)),
                    )
        raise UnknownName(f"there is no cluster {name!r}", fix="see the list of clusters")

    return blueprint


COLUMNS: list[Column[ClusterPart]] = [
    Column(
        "cluster", "Cluster", lambda p: Link(p.cluster.name, url_for("clusters.one", name=p.cluster.name))
    ),
    Column("site", "Site", lambda p: p.cluster.site, True),
    Column("state", "State", lambda p: p.badge, True),
    Column("ready", "Nodes ready", lambda p: f"{p.cluster.ready} of {p.cluster.nodes}"),
    Column("kubernetes", "Kubernetes", lambda p: p.cluster.kubernetes, True),
    Column("endpoint", "Endpoint", lambda p: Code(p.cluster.endpoint)),
    Column("verified", "Verified", lambda p: Seen(p.cluster.verified_at)),
    Column("problem", "Problem", lambda p: p.cluster.problem),
]
