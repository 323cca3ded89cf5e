"""Sites: the list of them, and one with its clusters and nodes. Reads only."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from web import fleet, present
from web.access.grants import Level
from web.access.guard import need
from web.access.sites import site_named
from web.fleet import SitePart
from web.lists import Cell, Column, Link, export, listing
from web.ports import Queries


def make(queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("sites", __name__, url_prefix="/sites")

    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        now = clock()
        parts = fleet.gather(queries, now).sites
        columns = _columns(now)
        saved = export(parts, columns, "sites")
        if saved is not None:
            return saved
        return render_template("sites.html", listing=listing(parts, columns, command="cto status"))

    @blueprint.get("/<name>")
    @need(Level.VIEWER)
    def one(name: str) -> ResponseReturnValue:
        site_named(name, queries)
        found = fleet.gather(queries, clock())
        part = next(each for each in found.sites if each.site.name == name)
        events = fleet.latest_events(queries, 20, f"site/{name}")
        return render_template("site.html", part=part, events=list(reversed(events)))

    return blueprint


def _columns(now: datetime) -> list[Column[SitePart]]:
    return [
        Column("site", "Site", lambda p: Link(p.site.name, url_for("sites.one", name=p.site.name))),
        Column("state", "State", lambda p: present.site_badge([c.badge for c in p.clusters]), True),
        Column("clusters", "Clusters", lambda p: len(p.clusters), order=lambda p: len(p.clusters)),
        Column("nodes", "Nodes ready", _ready, order=lambda p: p.site.ready - p.site.nodes),
        Column("problems", "Problems", lambda p: _problems(p, now), order=lambda p: _problems(p, now)),
        Column("timezone", "Time zone", lambda p: p.site.timezone, True),
        Column("labels", "Labels", lambda p: " ".join(f"{k}={v}" for k, v in sorted(p.site.labels.items()))),
    ]


def _ready(part: SitePart) -> Cell:
    return f"{part.site.ready} of {part.site.nodes}"


def _problems(part: SitePart, _now: datetime) -> int:
    nodes = [node for piece in part.clusters for node in piece.nodes] + list(part.loose)
    return sum(bool(node.problem) for node in nodes) + sum(bool(c.cluster.problem) for c in part.clusters)
