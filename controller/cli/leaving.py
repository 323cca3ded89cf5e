"""`cto node remove` and `replace`: a node leaves a cluster that stays. Both say first what is destroyed."""

import time
from pathlib import Path
from typing import Any

import click

from controller.cli.base import (
    App,
    assume_yes,
    complete_nodes,
    confirm,
    default_files,
    pass_app,
    read_texts,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.commands.apply import watch
from controller.cli.commands.plan import show as show_plan
from controller.cli.loop import on_loop
from controller.cli.text import clean_block


def _say(app: App, lines: Any) -> None:
    if not app.json:
        for line in lines:
            click.echo(clean_block(f"  {line}"))


dead_option = click.option(
    "--dead", is_flag=True, help="It is gone for good: the others take it out; its disk is not wiped."
)


@verb("remove", example="cto node remove berlin-cp-5\ncto node remove berlin-cp-2 --dead")
@click.argument("name", shell_complete=complete_nodes)
@dead_option
@assume_yes
@pass_app
def remove(app: App, /, *, name: str, dead: bool, yes: bool) -> int:
    """Take a node out of its cluster: drained, out of etcd, wiped. Refused if etcd would lose its quorum."""
    from controller.app.removal import describe_removal

    with app.services() as services:
        found = on_loop(services, lambda: describe_removal(services, name, dead=dead))
        if not app.json:
            click.echo(f"{name} leaves cluster {found.cluster}:")
        _say(app, found.lines)
        confirm(f"Remove {name}?", yes=yes)
        options = {"node": name, "dead": dead}
        run_id = services.store.queue_run("remove", {"nodes": [name]}, actor=app.actor(), options=options)
        return watch(app, services, run_id, [name], time.monotonic())


@verb("replace", example="cto node replace berlin-cp-2 --with berlin-cp-4 --dead -f site.yaml")
@click.argument("old", shell_complete=complete_nodes)
@click.option(
    "--with", "new", required=True, metavar="NEW", help="The control plane that takes its place; declared."
)
@dead_option
@site_files
@assume_yes
@pass_app
def replace(app: App, /, *, old: str, new: str, dead: bool, files: tuple[Path, ...], yes: bool) -> int:
    """Put one control plane in the place of another. A dead one goes first, a living one leaves last."""
    from controller.app.replacing import describe_replacement, submit_replacement

    texts = read_texts(files or default_files(app))
    with app.services() as services:
        made = on_loop(services, lambda: describe_replacement(services, texts, old, new, dead=dead))
        if not app.json:
            show_plan(made.plan.to_dict())
            click.echo(f"{new} takes the place of {old}:")
        _say(app, made.lines)
        confirm(f"Replace {old} with {new}?", yes=yes)
        run_id = submit_replacement(services, texts, old, new, dead=dead, actor=app.actor())
        return watch(app, services, run_id, [old, new], time.monotonic())
