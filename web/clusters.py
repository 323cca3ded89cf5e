"""Clusters: the list of them; and one: its picture, quorum, versions, what changes it. Reads only."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from inventory.errors import UnknownName
from web import etcd_seen, fleet, present, rollouts
from web.access.grants import Level
from web.access.guard import need
from web.fleet import ClusterPart, SitePart
from web.lists import Code, Column, Link, Seen, export, listing
from web.ports import Queries, RolloutView, SiteView

EVENTS_SHOWN = 100
_AT_REST = frozenset({"planned", "committed", "cancelled", "rolled-back"})


@dataclass(frozen=True, slots=True)
class Change:
    """A rollout's part in a cluster. `nodes`: those that are cordoned, drained, installed, or in trouble."""

    rollout: RolloutView
    badge: present.Badge
    part: Mapping[str, Any]
    nodes: Sequence[Mapping[str, Any]]


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
        return render_template("clusters.html", listing=listing(parts, COLUMNS, command="cto cluster show"))

    @blueprint.get("/<name>")
    @need(Level.VIEWER)
    def one(name: str) -> ResponseReturnValue:
        now = clock()
        piece, site = _found(name, fleet.gather(queries, now).sites)
        events = fleet.latest_events(queries, EVENTS_SHOWN, f"cluster/{name}")
        etcd, cordons = etcd_seen.etcd(piece.cluster, piece.nodes, now), etcd_seen.cordons(piece.cluster, now)
        return render_template(
            "cluster.html",
            piece=piece,
            site=site,
            etcd=etcd,
            agreement=etcd_seen.agreement(etcd),
            cordons=cordons,
            marks=etcd_seen.marks(etcd, cordons),
            snapshot_origin=etcd_seen.snapshot_origin(piece.cluster.snapshot),
            versions=_versions(piece),
            changes=under_way(name, queries),
            stage_badge=rollouts.stage_badge,
            ends=fleet.expiring([piece.cluster], now),
            events=list(reversed(events)),
        )

    return blueprint


def _found(name: str, sites: Sequence[SitePart]) -> tuple[ClusterPart, SiteView]:
    for part in sites:
        for piece in part.clusters:
            if piece.cluster.name == name:
                return piece, part.site
    raise UnknownName(f"there is no cluster {name!r}", fix="see the list of clusters")


def _versions(piece: ClusterPart) -> list[tuple[str, int]]:
    """Of Talos, as seen; on how many nodes."""
    found = Counter(node.talos for node in piece.nodes if node.talos)
    return sorted(found.items(), reverse=True)


def under_way(name: str, queries: Queries) -> list[Change]:
    """Rollouts that are not over and have a part in this cluster, with the nodes that they are at."""
    found = []
    for rollout in queries.rollouts():
        for part in queries.rollout_clusters(rollout.id, name) if not rollout.over else ():
            nodes = [node for node in part["nodes"] if node.get("cordoned") or node["stage"] not in _AT_REST]
            found.append(Change(rollout, rollouts.badge(rollout), part, nodes))
    return found


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
