"""`cto status`: the fleet at a glance. Reads the store only; says of everything how old it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from controller.cli.base import App, command, complete_clusters, complete_nodes, complete_sites, pass_app
from controller.cli.output import COLORS, document, human_bytes, human_seconds, table
from controller.cli.picking import pick
from controller.cli.text import clean, clean_block
from inventory.wording import count
from web import fleet, present
from web.ports import NodeView

if TYPE_CHECKING:
    from controller.cli.window_state import States


@command("status", example="cto status --site berlin")
@click.option(
    "--site", "sites", multiple=True, metavar="NAME", help="Only this site.", shell_complete=complete_sites
)
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    metavar="NAME",
    help="Only this cluster.",
    shell_complete=complete_clusters,
)
@click.option(
    "--node", "nodes", multiple=True, metavar="NAME", help="Only this node.", shell_complete=complete_nodes
)
@click.option("-l", "labels", multiple=True, metavar="KEY=VALUE", help="Only nodes with this label.")
@pass_app
def status(
    app: App,
    /,
    *,
    sites: tuple[str, ...],
    clusters: tuple[str, ...],
    nodes: tuple[str, ...],
    labels: tuple[str, ...],
) -> None:
    """Show sites, clusters and nodes as they are known, how old that is, and what needs you."""
    now = app.now()
    with app.services() as services:
        found = fleet.gather(services.queries, now)
        chosen = pick(services.queries.nodes(), sites, clusters, nodes, labels)
        if app.json:
            whole = fleet.to_dict(found, services.queries, now)
            whole["nodes"] = [fleet.node_dict(node, now) for node in chosen]
            calendar = _calendar(services, now)
            whole["calendar"] = calendar.to_dict() if calendar else None
            whole["feed_problem"] = services.queries.feed_problem()
            document(whole)
            return
        calendar = _calendar(services, now)
        feed = services.queries.feed_problem()
    if not found.nodes and not found.sites:
        click.echo("Nothing is known yet.")
        click.echo("  → describe a site and run `cto apply -f FILE`, or see it work first: `cto demo`")
        return
    _summary(found)
    _clusters(found, chosen, now)
    table(("NODE", "CLUSTER", "ROLE", "STATE", "TALOS", "KNOWN"), [_row(node, now) for node in chosen])
    _running(chosen, now)
    if calendar:
        _windows(calendar, {view.site for view in chosen})
    _needs(found, chosen)
    if feed:
        click.echo(f"The release feed could not be read: {clean(feed, 300)}\n  → cto update check")


def _summary(found: fleet.FleetPart) -> None:
    engine = f"{found.engine} (pid {found.engine_pid})" if found.engine_pid else found.engine
    if found.observe_only:
        engine += ", only observing after a restore"
    sites, clusters = count(len(found.sites), "site"), count(found.cluster_count, "cluster")
    click.echo(
        f"{sites} · {found.clusters_ready} of {clusters} ready · "
        f"{found.ready} of {count(found.nodes, 'node')} ready · engine {engine}\n"
    )


def _clusters(found: fleet.FleetPart, chosen: Sequence[NodeView], now: datetime) -> None:
    names = {view.cluster for view in chosen}
    rows = [
        (
            part.site.name,
            piece.cluster.name,
            (f"{piece.badge.symbol} {piece.badge.label}", piece.badge.tone),
            f"{piece.cluster.ready}/{piece.cluster.nodes}",
            piece.cluster.kubernetes,
            piece.cluster.endpoint,
            known(piece.cluster.verified_at, now),
        )
        for part in found.sites
        for piece in part.clusters
        if piece.cluster.name in names
    ]
    if rows:
        table(("SITE", "CLUSTER", "STATE", "NODES", "KUBERNETES", "ENDPOINT", "VERIFIED"), rows)
        click.echo()


def _calendar(services: Any, now: datetime) -> "States | None":
    """Nothing is loaded for it where no windows are declared and nothing is frozen."""
    queries = services.queries
    if not queries.calendars() and not queries.freezes(""):
        return None
    from controller.cli.window_state import read_states

    return read_states(queries, now, synchronized=services.clock_synchronized())


def _windows(states: "States", sites: set[str]) -> None:
    from controller.cli.window_state import show_skips, show_switches, windows_text

    rows = [
        (each.calendar.site, windows_text(each.decision, each.calendar.timezone), each.calendar.timezone)
        for each in states.sites
        if each.calendar.site in sites and (each.calendar.windows or each.decision.until)
    ]
    if rows:
        click.echo()
        table(("SITE", "NEXT WINDOW", "ZONE"), rows)
    show_switches(states)
    show_skips(states, alarms=True)


def known(at: str, now: datetime) -> object:
    """The age of what is known; marked if it is old."""
    text = present.age(at, now)
    return (f"{text}, old", "warn") if at and present.is_stale(at, now) else text


def _row(node: NodeView, now: datetime) -> tuple[object, ...]:
    badge = present.node_badge(node, now)
    state = (f"{badge.symbol} {badge.label}", badge.tone)
    return node.name, node.cluster, node.role, state, node.talos, known(node.seen_at, now)


def _running(chosen: Sequence[NodeView], now: datetime) -> None:
    running = [(node, present.progress(node, now)) for node in chosen if node.step]
    if not running:
        return
    click.echo("\nRunning")
    for node, step in running:
        if step is None:
            continue
        measure = ""
        if step.fraction is not None:
            measure = f" {step.fraction:.0%} of {human_bytes(step.total)}"
        left = f", about {human_seconds(step.left)} left" if step.left else ""
        click.echo(f"  {clean(node.name)}: {clean(step.title)}{measure}{left}")


def _needs(found: fleet.FleetPart, chosen: Sequence[NodeView]) -> None:
    names = {f"node/{view.name}" for view in chosen} | {f"cluster/{view.cluster}" for view in chosen}
    always = ("controller", "pending", "rollout/")  # of no one node
    needs = [need for need in found.needs if need.subject in names or need.subject.startswith(always)]
    click.echo("\nNeeds you" if needs else "\nNothing needs you.")
    for need in needs:
        mark = click.style(present.SYMBOLS[need.tone], fg=COLORS[need.tone])
        lines = clean_block(need.text).split("\n")
        click.echo(f"  {mark} {clean(need.subject)}: {lines[0]}")
        for line in lines[1:]:
            click.echo(f"    {line}")
