"""How rollouts look on a terminal: a plan, one rollout's state, the list of them. Reads no store."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from controller.cli.output import human_seconds, table
from controller.cli.text import clean
from inventory.wording import count
from web.ports import RolloutView

_TONES = {
    "running": "busy", "paused": "warn", "stopped": "bad", "aborted": "warn", "succeeded": "good",
    "pending": "idle", "checking": "busy", "failed": "bad", "cancelled": "idle",
    "committed": "good", "planned": "idle", "staged": "idle", "rolled-back": "warn", "needs-hands": "bad",
}  # fmt: skip
_MOST = 10
_STOPS = {
    "named": "named by --via",
    "published": "a release of the policy's channel",
    "running": "it runs in the fleet",
    "built in": "no feed speaks of it; this program was tested with it. Another one: --via",
}


def tone(word: str) -> str:
    return _TONES.get(word, "busy")


def names(found: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(clean(name, 60) for name in found[:_MOST]) + more


def plan_document(made: Any) -> dict[str, Any]:
    """What `cto rollout plan --output json` prints."""
    state = made.state
    return {
        "target": {
            name: value
            for name, value in (("talos", state.target.talos), ("kubernetes", state.target.kubernetes))
            if value
        },
        "policy": made.policy.name,
        "waves": [list(wave.clusters) for wave in state.waves],
        "clusters": [
            {
                "name": cluster.name,
                "site": cluster.site,
                "wave": cluster.wave + 1,
                "nodes": len(cluster.nodes),
                "hops": [
                    {"kind": str(hop.kind), "source": hop.source, "version": hop.version}
                    for hop in cluster.hops
                ],
            }
            for cluster in state.clusters.values()
        ],
        "stops": dict(made.stops),
        "left_out": dict(made.left_out),
        "warnings": list(made.warnings),
    }


def show_plan(made: Any) -> None:
    state = made.state
    aims = [f"Talos {state.target.talos}"] if state.target.talos else []
    aims += [f"Kubernetes {state.target.kubernetes}"] if state.target.kubernetes else []
    aims += [f"schematic {state.target.schematic[:12]}…"] if state.target.schematic else []
    nodes = sum(len(cluster.nodes) for cluster in state.clusters.values())
    sizes = f"{count(len(state.clusters), 'cluster')}, {count(nodes, 'node')}"
    chosen = f" (the newest release of channel {made.channel})" if made.channel else ""
    click.echo(f"{' and '.join(aims)}{chosen}: {sizes}, by policy {clean(made.policy.name)}")
    for number, wave in enumerate(state.waves, 1):
        click.echo(f"  wave {number}: {names(wave.clusters)}")
    ways: dict[str, list[str]] = {}
    for cluster in state.clusters.values():
        way = " → ".join([cluster.hops[0].source, *(f"{hop.version} ({hop.kind})" for hop in cluster.hops)])
        ways.setdefault(way, []).append(cluster.name)
    for way, members in ways.items():
        click.echo(f"  {way}: {names(members)}")
    for stop, how in made.stops.items():
        click.echo(f"  stop at {clean(stop)}: {_STOPS[how]}")
    for cluster, why in made.left_out.items():
        click.echo(f"  left out: {clean(cluster)}: {clean(why)}")
    if made.channel:
        aim = (
            f"--talos {state.target.talos}"
            if state.target.talos
            else f"--kubernetes {state.target.kubernetes}"
        )
        click.echo(f"  → to begin it: cto rollout start {aim} --reason …")
    for warning in made.warnings:
        click.echo(f"  {click.style('warning:', fg='yellow')} {clean(warning)}")


def show_rollout(view: RolloutView, clusters: Sequence[Mapping[str, Any]], *, nodes: bool) -> None:
    found = view.summary
    status = click.style(clean(view.status), bold=True)
    click.echo(f"rollout {clean(view.id)}  {status}{': ' + clean(found['why']) if found['why'] else ''}")
    aims = ", ".join(f"{name} {value}" for name, value in found["target"].items())
    click.echo(f"  {clean(aims)}  {clean(view.reason)}  ({clean(view.actor)}, {clean(view.created_at[:16])})")
    if view.ordered:
        click.echo(f"  ordered, and not yet taken by an engine: {clean(view.ordered)}")
    left = f", about {human_seconds(found['seconds_left'])} of work and bakes left" if not view.over else ""
    click.echo(f"  {found['nodes_done']} of {found['nodes']} nodes{left}")
    rows = []
    for wave in found["waves"]:
        bake = human_seconds(wave["bake_seconds_left"]) if wave["state"] == "baking" else ""
        counts = [wave[name] for name in ("clusters", "succeeded", "failed", "cancelled")]
        rows.append((wave["number"], (wave["state"], tone(wave["state"])), *counts, bake))
    table(("wave", "state", "clusters", "done", "failed", "cancelled", "bakes for"), rows, indent="  ")
    for each in found["waits"]:
        click.echo(f"  waits: {clean(each['subject'])}: {clean(each['because'])}")
    for each in found["failed"]:
        click.echo(f"  {click.style('✖', fg='red')} {clean(each['cluster'])}: {clean(each['reason'])}")
    for each in found["hands"]:
        click.echo(
            f"  {click.style('needs hands:', fg='red')} {clean(each['node'])}: {clean(each['do'], 500)}"
        )
    if nodes:
        _show_nodes(clusters)


def _show_nodes(clusters: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (
            cluster["name"],
            node["name"],
            (node["stage"], tone(node["stage"])),
            node["step"],
            node["talos"],
            node["kubernetes"],
            node["waits"] or node["reason"],
        )
        for cluster in clusters
        for node in cluster["nodes"]
    ]
    table(("cluster", "node", "stage", "step", "talos", "kubernetes", ""), rows, indent="  ")


def show_history(views: Sequence[RolloutView]) -> None:
    if not views:
        click.echo("No rollout yet.\n  → cto rollout plan --talos VERSION")
        return
    rows = []
    for view in views:
        aims = ", ".join(f"{name} {value}" for name, value in view.summary["target"].items())
        done = f"{view.summary['nodes_done']}/{view.summary['nodes']}"
        back = f"takes back {view.rollback_of}; " if view.rollback_of else ""
        rows.append(
            (view.id, view.created_at[:16], (view.status, tone(view.status)), aims, done, back + view.reason)
        )
    table(("rollout", "made", "status", "target", "nodes", "reason"), rows)
