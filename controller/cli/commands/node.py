"""`cto node`: add (pin a host key), confirm, list, show, replace, remove, reset. Trust is people's act."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from controller.cli.base import (
    App,
    Noun,
    assume_yes,
    complete_nodes,
    confirm,
    default_files,
    pass_app,
    read_texts,
    selection,
    selectors,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.commands.apply import watch
from controller.cli.commands.status import known
from controller.cli.leaving import remove, replace
from controller.cli.maintenance import confirm_key
from controller.cli.output import document, plain, table
from controller.cli.picking import pick
from controller.cli.pinning import add
from controller.cli.text import clean, clean_block
from inventory.errors import OperatorError
from inventory.wording import count, reached_at
from web import fleet, present


@verb("list", example="cto node list --site berlin --output json")
@selectors
@pass_app
def list_(app: App, /, **chosen: tuple[str, ...]) -> None:
    """List the nodes that are known."""
    now = app.now()
    with app.services() as services:
        nodes = pick(services.queries.nodes(), **chosen)
    if app.json:
        document([fleet.node_dict(node, now) for node in nodes])
        return
    if not nodes:
        click.echo("No nodes are known yet.")
        click.echo("  → look for some: cto discover; pin one: cto node add NAME --address A --confirm-words")
        return
    rows = []
    for node in nodes:
        badge = present.node_badge(node, now)
        state = (f"{badge.symbol} {badge.label}", badge.tone)
        rows.append(
            (node.name, node.site, node.cluster, node.role, state, node.address, known(node.seen_at, now))
        )
    table(("NODE", "SITE", "CLUSTER", "ROLE", "STATE", "ADDRESS", "KNOWN"), rows)


@verb("show", example="cto node show berlin-cp-1")
@click.argument("name", shell_complete=complete_nodes)
@click.option(
    "--events", "limit", type=click.IntRange(0, 500), default=10, show_default=True, help="How many events."
)
@pass_app
def show(app: App, name: str, limit: int) -> None:
    """What is known of a node, since when, and what changed."""
    now = app.now()
    with app.services() as services:
        queries = services.queries
        node = queries.node(name)
        taken = [dict(entry) for entry in queries.facts(name, 2)]
        happened = fleet.latest_events(queries, limit, f"node/{name}") if limit else []
    changes = _changes(taken)
    if app.json:
        document(
            fleet.node_dict(node, now)
            | {"facts": taken[:1], "changes": changes, "events": [plain(event) for event in happened]}
        )
        return
    badge = present.node_badge(node, now)
    click.echo(f"{click.style(clean(node.name), bold=True)}  {badge.symbol} {clean(badge.label)}")
    if node.problem:
        click.echo(clean_block(f"  {node.problem}"))
    for label, value in (
        ("site", node.site),
        ("cluster", node.cluster),
        ("role", node.role),
        ("address", reached_at(node.address, node.ssh_port, node.jump)),
        ("host key", node.host_key_words or "not pinned"),
        ("talos", node.talos),
        ("profile", node.profile),
        ("known", present.age(node.seen_at, now) + (", old" if present.is_stale(node.seen_at, now) else "")),
        ("state since", present.age(node.changed_at, now)),
        ("facts taken", present.age(str(taken[0].get("taken_at", "")), now) if taken else "never"),
    ):
        click.echo(f"  {label:<12} {clean(value) or '-'}")
    _record(node.record)
    _show_changes(changes, taken, now)
    if happened:
        click.echo("\n  Events")
        for event in happened:
            click.echo(
                f"    {present.age(event.at, now):>12}  {clean(event.kind, 40)}: {clean(event.message)}"
            )


def _record(record: Mapping[str, Any]) -> None:
    """What earlier steps wrote down, digests cut to what one can compare by eye."""
    lines = [(key, value) for key, value in sorted(record.items()) if not isinstance(value, Mapping)]
    for key, inner in sorted(record.items()):
        if isinstance(inner, Mapping):
            lines += [(f"{key}.{name}", value) for name, value in sorted(inner.items())]
    if lines:
        click.echo("\n  Recorded")
    for key, value in lines:
        click.echo(f"    {clean(key, 40):<22} {_short(value)}")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text[:12] + "…" if re.fullmatch(r"[0-9a-f]{40,}", text) else clean(text, 120) or "-"


def _changes(taken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(taken) < 2:
        return []
    from controller.cli.commands.facts import changes_between

    return changes_between(taken[1], taken[0])


def _show_changes(changes: list[dict[str, Any]], taken: list[dict[str, Any]], now: Any) -> None:
    if not changes:
        return
    click.echo(f"\n  Changed since {present.age(str(taken[1].get('taken_at', '')), now)}")
    for change in changes:
        click.echo(
            f"    {clean(change['path'])}: {clean(change['before'], 60)} → {clean(change['after'], 60)}"
        )


@verb("reset", example="cto node reset --node berlin-w-1 -f site.yaml")
@site_files
@selectors
@assume_yes
@pass_app
def reset(app: App, /, files: tuple[Path, ...], yes: bool, **chosen: tuple[str, ...]) -> int:
    """Decommission nodes: leave etcd, wipe, boot our image again. Shows first what is destroyed."""
    from controller.app.apply import submit
    from controller.app.reset import describe_reset
    from inventory.resolve import load_files

    picked = selection(**chosen)
    if picked.everything:
        raise OperatorError("say which nodes", fix="name them with --node NAME, or --cluster or --site")
    texts = read_texts(files or default_files(app))
    nodes = picked.pick(load_files(texts).fleet)
    with app.services() as services:
        lost = describe_reset(services, nodes)
        if not app.json:
            click.echo("This destroys:")
            for line in lost:
                click.echo(clean_block(f"  {line}"))
        confirm(f"Wipe {count(len(nodes), 'node')}?", yes=yes)
        run_id = submit(services, texts, picked, actor=app.actor(), kind="reset")
        return watch(app, services, run_id, [node.name for node in nodes], time.monotonic())


node = Noun("node", help="Add, confirm, list, show, replace, remove or reset nodes.").add(
    add, confirm_key, list_, show, remove, replace, reset
)
