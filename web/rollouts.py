"""Rollouts: which there are; and one: its waves, each node, why it waits, when it should be done.

Every order is confirmed on a page of its own, which says what it does. The engine decides and carries out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError
from web import bulk, fleet, present
from web.access.grants import Level
from web.access.guard import need, who
from web.lists import Code, Column, Link, Seen, export, listing
from web.orders_port import RolloutOrders
from web.ports import Queries, RolloutView
from web.rollout_orders import checked_reason, may_order, must_order, offered, order_of
from web.wave_picture import STAGES, WAVE_BADGES, cluster_badge, draw_waves, steps

EVENTS_SHOWN, CLUSTERS_SHOWN, MOST = 50, 40, 200
NODES_SHOWN = 60  # of clusters that nobody asked for by name
SEVERAL = {"pause": "running", "resume": "paused"}  # what is ordered of several → what they are before
_OPEN = ("running", "failed", "checking")  # phases in which it matters how each node is
_TONES = {"running": "busy", "paused": "warn", "stopped": "bad", "aborted": "idle", "succeeded": "good"}
_BAD = frozenset({"failed", "needs-hands", "rolled-back", "rolling-back"})


@dataclass(frozen=True, slots=True)
class NodeLine:
    """A node of a rollout, as it is taken away in a list."""

    cluster: Mapping[str, Any]
    node: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A cluster as it is shown. `nodes` empty: it is a link to them."""

    cluster: Mapping[str, Any]
    badge: present.Badge
    nodes: Sequence[Mapping[str, Any]]


def make(orders: RolloutOrders, queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads and orders."""
    blueprint = Blueprint("rollouts", __name__, url_prefix="/rollouts")
    _all(blueprint, queries)
    _one(blueprint, queries, clock)
    _ordering(blueprint, orders, queries)
    _several(blueprint, orders, queries)
    return blueprint


def _all(blueprint: Blueprint, queries: Queries) -> None:
    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        found = queries.rollouts(MOST)
        saved = export(found, COLUMNS, "rollouts")
        if saved is not None:
            return saved
        open_ones = [each for each in found if each.status in SEVERAL.values()]
        mine = [each for each in open_ones[: bulk.MOST] if may_order(each, queries)]
        return render_template(
            "rollouts.html",
            listing=listing(found, COLUMNS, command="cto rollout history"),
            several=[(each, badge(each)) for each in mine],
            commands={verb: _command(verb, mine) for verb in SEVERAL},
            ordered=request.args.get("ordered") == "yes",
        )


def _one(blueprint: Blueprint, queries: Queries, clock: Callable[[], datetime]) -> None:
    @blueprint.get("/<rollout>")
    @need(Level.VIEWER)
    def one(rollout: str) -> ResponseReturnValue:
        found = queries.rollout(rollout)
        clusters = queries.rollout_clusters(found.id)
        wave, cluster = request.args.get("wave", ""), request.args.get("cluster", "")
        chosen = [c for c in clusters if wave in ("", str(c["wave"])) and cluster in ("", c["name"])]
        saved = export([NodeLine(c, n) for c in chosen for n in c["nodes"]], NODES, f"rollout-{found.id}")
        if saved is not None:
            return saved
        events = fleet.latest_events(queries, EVENTS_SHOWN, f"rollout/{found.id}")
        return render_template(
            "rollout.html",
            rollout=found,
            badge=badge(found),
            engine=queries.engine(),
            summary=found.summary,
            done_at=done_at(found, clock()),
            picture=draw_waves(found.summary.get("waves", ()), clusters),
            clusters=parts(chosen[:CLUSTERS_SHOWN], named=bool(cluster), wave=bool(wave)),
            left=max(0, len(chosen) - CLUSTERS_SHOWN),
            wave=wave,
            cluster=cluster,
            events=list(reversed(events)),
            ordered=request.args.get("ordered") == "yes",
            may_act=may_order(found, queries),
            offered=offered(found),
            **WORDS,
        )


def _ordering(blueprint: Blueprint, orders: RolloutOrders, queries: Queries) -> None:
    @blueprint.get("/<rollout>/order")
    @need(Level.OPERATOR)
    def confirm(rollout: str) -> ResponseReturnValue:
        found = queries.rollout(rollout)
        must_order(found, queries)
        verb, cluster, wave = (request.args.get(name, "")[:300] for name in ("verb", "cluster", "wave"))
        clusters = queries.rollout_clusters(found.id)
        order = order_of(verb, found, clusters, cluster=cluster, wave=_number(wave))
        return render_template("rollout_order.html", rollout=found, badge=badge(found), order=order)

    @blueprint.post("/<rollout>/order")
    @need(Level.OPERATOR)
    def order(rollout: str) -> ResponseReturnValue:
        found = queries.rollout(rollout)
        must_order(found, queries)
        clusters, wave = queries.rollout_clusters(found.id), _number(_field("wave"))
        wanted = order_of(_field("verb"), found, clusters, cluster=_field("cluster"), wave=wave)
        orders.order(
            found.id,
            wanted.verb,
            reason=checked_reason(_field("reason")),
            actor=who().actor,
            cluster=wanted.cluster,
            wave=wanted.wave - 1,
        )
        return redirect(url_for("rollouts.one", rollout=found.id, ordered="yes"), 303)


def _several(blueprint: Blueprint, orders: RolloutOrders, queries: Queries) -> None:
    """Only what can be taken back is ordered of several at once; the rest is confirmed one by one."""

    @blueprint.post("/several")
    @need(Level.OPERATOR)
    def several() -> ResponseReturnValue:
        chosen, verb = bulk.ticked("rollout", "rollout"), _field("verb")
        if verb not in SEVERAL:
            raise OperatorError(f"{verb[:20]!r} is not ordered of several at once", fix="pause or resume")
        reason, actor = checked_reason(_field("reason")), who().actor
        for rollout in chosen:
            must_order(queries.rollout(rollout), queries)
        bulk.each(chosen, lambda rollout: orders.order(rollout, verb, reason=reason, actor=actor))
        return redirect(url_for("rollouts.page", ordered="yes"), 303)


def _command(verb: str, rollouts: Sequence[RolloutView]) -> str:
    ids = [each.id for each in rollouts if each.status == SEVERAL[verb]]
    return bulk.command(f"cto rollout {verb}", ids, ' --reason "…"') if ids else ""


def parts(clusters: Sequence[Mapping[str, Any]], *, named: bool, wave: bool) -> list[Part]:
    """With all nodes of a cluster that was asked for by name. Else, as long as the page stays small, with
    those of clusters that are at work or failed, or of any in a wave that was asked for.
    """
    found, room = [], NODES_SHOWN
    for cluster in clusters:
        nodes = cluster["nodes"]
        if not named and (len(nodes) > room or not (wave or cluster["phase"] in _OPEN)):
            nodes = ()
        found.append(Part(cluster, cluster_badge(cluster), nodes))
        room -= len(nodes)
    return found


def badge(rollout: RolloutView) -> present.Badge:
    """As it stands; what failed in it is not good, also when it is over."""
    tone = _TONES.get(rollout.status, "unknown")
    failed = rollout.summary.get("failed") or rollout.summary.get("hands")
    if failed and tone in ("good", "busy"):
        return present.Badge("warn", f"{rollout.status}, not everywhere")
    return present.Badge(tone, rollout.status + (f", {rollout.ordered} ordered" if rollout.ordered else ""))


def stage_badge(stage: str) -> present.Badge:
    if stage in _BAD:
        return present.Badge("bad" if stage != "rolled-back" else "warn", stage)
    tones = {"committed": "good", "planned": "idle", "cancelled": "idle"}
    return present.Badge(tones.get(stage, "busy"), stage)


# What the template says of waves and stages.
WORDS: Mapping[str, Any] = {
    "wave_badges": WAVE_BADGES,
    "stage_badge": stage_badge,
    "steps": steps,
    "way": len(STAGES) - 1,
}


def done_at(rollout: RolloutView, now: datetime) -> str:
    """When it should be done if nothing stood in its way; empty if that can't be told."""
    left = rollout.summary.get("seconds_left", 0)
    if rollout.over or rollout.status != "running" or not left or left > timedelta(days=365).total_seconds():
        return ""
    return (now + timedelta(seconds=left)).strftime("%Y-%m-%d %H:%M UTC")


def target(rollout: RolloutView) -> str:
    """The versions that it brings."""
    wanted: Mapping[str, str] = rollout.facts.get("target", {})
    return ", ".join(f"{name} {version}" for name, version in wanted.items())


def _done(rollout: RolloutView) -> str:
    return f"{rollout.summary.get('nodes_done', 0)} of {rollout.summary.get('nodes', 0)}"


COLUMNS: list[Column[RolloutView]] = [
    Column("id", "Rollout", lambda r: Link(r.id, url_for("rollouts.one", rollout=r.id))),
    Column("status", "Status", badge, True),
    Column("target", "To", target, True),
    Column("done", "Nodes done", _done),
    Column("by", "By", lambda r: r.actor, True),
    Column("reason", "Why", lambda r: r.reason),
    Column("created", "Begun", lambda r: Seen(r.created_at, stale=False), order=lambda r: r.created_at),
]
NODES: Sequence[Column[NodeLine]] = [
    Column("node", "Node", lambda n: n.node["name"]),
    Column("cluster", "Cluster", lambda n: n.cluster["name"]),
    Column("site", "Site", lambda n: n.cluster["site"]),
    Column("wave", "Wave", lambda n: n.cluster["wave"]),
    Column("stage", "Stage", lambda n: n.node["stage"]),
    Column("talos", "Talos", lambda n: Code(n.node["talos"])),
    Column("kubernetes", "Kubernetes", lambda n: Code(n.node["kubernetes"])),
    Column("attempt", "Attempt", lambda n: n.node["attempt"]),
    Column("why", "Why", lambda n: n.node["reason"] or n.node["waits"] or n.cluster["waits"]),
]


def _number(text: str) -> int:
    """A wave's number from 1; 0 for none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def _field(name: str) -> str:
    return request.form.get(name, "").strip()[:300]
