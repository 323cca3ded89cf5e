"""`cto discover`: machines that announce themselves by mDNS. Believes nothing and contacts nobody."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from controller.cli.base import App, command, pass_app
from controller.cli.loop import on_loop
from controller.cli.output import line, plain
from controller.cli.text import clean


@command("discover", example="cto discover --seconds 30 --interface eth0")
@click.option(
    "--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="How long to look."
)
@click.option("--interface", "interfaces", multiple=True, metavar="NAME", help="Only on this interface.")
@pass_app
def discover(app: App, seconds: float, interfaces: tuple[str, ...]) -> None:
    """Show machines as they announce themselves. Names and addresses are claims until a key is pinned."""
    with app.services() as services:
        on_loop(services, lambda: _watch(app, services.discovery, seconds, interfaces))


async def _watch(app: App, discovery: Any, seconds: float, interfaces: Sequence[str]) -> None:
    known: dict[tuple[Any, ...], Any] = {}
    if not app.json:
        click.echo(f"Looking for {seconds:g} s …", err=True)
    async for seen in discovery.watch(seconds=seconds, interfaces=interfaces):
        current = {(item.instance, item.addresses, item.port, item.conflict): item for item in seen}
        if app.json:
            line({"seen": [plain(item) for item in seen]})
        else:
            _changes(known, current)
        known = current
    if not app.json:
        _end(list(known.values()))


def _changes(known: dict[tuple[Any, ...], Any], current: dict[tuple[Any, ...], Any]) -> None:
    for key, item in current.items():
        if key not in known:
            where = ", ".join(clean(address, 45) for address in item.addresses)
            conflict = click.style(f"  conflict: {clean(item.conflict)}", fg="red") if item.conflict else ""
            click.echo(
                f"+ {clean(item.instance, 63)}  {where}:{item.port}  {clean(item.enroll_id, 16)}{conflict}"
            )
    names = {item.instance for item in current.values()}
    for item in known.values():
        if item.instance not in names:
            click.echo(f"- {clean(item.instance, 63)}  gone")
    sys.stdout.flush()


def _end(found: Sequence[Any]) -> None:
    conflicts = sum(bool(item.conflict) for item in found)
    click.echo(f"{len(found)} seen" + (f", {conflicts} in conflict: do not use those" if conflicts else ""))
    if found:
        click.echo(
            "  → compare the KEY words on a machine's screen: cto node add NAME --address A --confirm-words"
        )
    else:
        click.echo(
            "  → only machines that wait to be installed announce themselves;"
            " is one on this network? for multicast see cto doctor"
        )
