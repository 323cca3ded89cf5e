"""`cto status`: the fleet at a glance. Reads the store only; says of everything how old it is."""

from collections.abc import Sequence
from datetime import datetime

import click

from controller.cli.base import App, command, complete_clusters, complete_nodes, complete_sites, pass_app
from controller.cli.output import COLORS, document, human_bytes, human_seconds, table
from controller.cli.text import clean, clean_block
from inventory.errors import OperatorError
from web import fleet, present
from web.ports import NodeView


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
            document(whole)
            return
    if not found.nodes and not found.sites:
        click.echo("Nothing is known yet.")
        click.echo("  → describe a site and run `cto apply -f FILE`, or see it work first: `cto demo`")
        return
    _summary(found)
    _clusters(found, chosen, now)
    table(("NODE", "CLUSTER", "ROLE", "STATE", "TALOS", "KNOWN"), [_row(node, now) for node in chosen])
    _running(chosen, now)
    _needs(found, chosen)


def pick(
    views: Sequence[NodeView],
    sites: Sequence[str],
    clusters: Sequence[str],
    nodes: Sequence[str],
    labels: Sequence[str],
) -> list[NodeView]:
    """The nodes that match; a name that is not known is an error, as everywhere."""
    for kind, wanted, known in (
        ("site", sites, {view.site for view in views}),
        ("cluster", clusters, {view.cluster for view in views}),
        ("node", nodes, {view.name for view in views}),
    ):
        for name in wanted:
            if name not in known:
                listed = ", ".join(sorted(item for item in known if item)[:10]) or "none yet"
                raise OperatorError(f"no {kind} {name!r} is known here", fix=f"known: {listed}")
    pairs = [label.partition("=") for label in labels]
    for key, sign, _ in pairs:
        if not (key and sign):
            raise OperatorError(
                f"{key!r} is not a label selector", fix="write key=value, such as -l region=eu"
            )
    return [
        view
        for view in views
        if (not sites or view.site in sites)
        and (not clusters or view.cluster in clusters)
        and (not nodes or view.name in nodes)
        and all(view.labels.get(key) == value for key, _, value in pairs)
    ]


def _summary(found: fleet.FleetPart) -> None:
    engine = f"{found.engine} (pid {found.engine_pid})" if found.engine_pid else found.engine
    if found.observe_only:
        engine += ", only observing after a restore"
    click.echo(
        f"{len(found.sites)} sites · {found.clusters_ready} of {found.cluster_count} clusters ready · "
        f"{found.ready} of {found.nodes} nodes ready · engine {engine}\n"
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
    needs = [need for need in found.needs if need.subject in names]
    click.echo("\nNeeds you" if needs else "\nNothing needs you.")
    for need in needs:
        mark = click.style(present.SYMBOLS[need.tone], fg=COLORS[need.tone])
        lines = clean_block(need.text).split("\n")
        click.echo(f"  {mark} {clean(need.subject)}: {lines[0]}")
        for line in lines[1:]:
            click.echo(f"    {line}")
