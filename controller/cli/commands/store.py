"""`cto store`: backup and restore of the fleet store. The key that opens its secrets is never in a backup.

After a restore nothing is changed until every node was read; `resume` is for those that can't be any more.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from controller.cli.base import App, Noun, assume_yes, complete_nodes, confirm, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document, plain
from controller.cli.text import clean, clean_block
from inventory.errors import OperatorError
from inventory.wording import count


@verb("backup", example="cto store backup /media/usb/fleet-2026-11-25.backup")
@click.argument("path", type=click.Path(path_type=Path))
@pass_app
def backup(app: App, path: Path) -> None:
    """Write a consistent copy of the store while it is in use."""
    if not path.absolute().parent.is_dir():  # a stick that is not mounted must not become a folder here
        raise OperatorError("there is no such folder", where=str(path.parent), fix="make or mount it first")
    with app.services() as services:
        manifest = services.store.backup(path)
    if app.json:
        document({"file": str(path), "manifest": plain(manifest)})
    else:
        click.echo(
            f"written: {path}\n  → the key is not in it: cto key export --out FILE, and keep them apart"
        )


@verb("restore", example="cto store restore /media/usb/fleet-2026-11-25.backup --key /media/usb/cto.key")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What `cto key export` wrote.",
)
@assume_yes
@pass_app
def restore(app: App, path: Path, key_file: Path | None, yes: bool) -> None:
    """Replace the store by a backup, after checking it and the key; then observe until all nodes are read."""
    from controller.store import Store
    from controller.store.backup import inspect
    from controller.store.home import Home
    from controller.store.secretbox import SealKey

    home = Home.locate(app.home, environ=app.environ)
    if key_file is None and not home.key.exists():
        fix = "pass what `cto key export` wrote: --key FILE"
        raise OperatorError(
            "the key that opens this backup's secrets is not here", where=str(home.key), fix=fix
        )
    key = SealKey.from_text(read_text(key_file), where=str(key_file)) if key_file else None
    inspect(path, key or SealKey.load(home))  # nobody is asked about what can't be done
    confirm(f"Replace the store in {home.root} by {path}? The old one is kept aside.", yes=yes)
    done = Store.restore(path, home, now=app.now, key=key, actor=app.actor())
    if app.json:
        document({"restored": str(path), "kept": done.replaced, "epoch": done.epoch, "unread": done.unread})
        return
    click.echo(
        f"restored from {path}" + (f"; the old store is kept in {done.replaced}" if done.replaced else "")
    )
    if done.unread:
        click.echo(
            f"  → {count(len(done.unread), 'node')} to be read before any is changed: cto apply does that;"
            " one that is gone for good: cto store resume"
        )


_RISK = """\
These nodes were not read since the restore, and the store may be older than they are:
  {nodes}
What that risks: one that lives after all is taken for what the backup says. Its disk may be written again,
and its cluster's etcd be started a second time beside the one that runs. `cto apply` reads every node that
answers: run that first."""


@verb("resume", example='cto store resume --without berlin-2 --reason "burnt out, scrapped on Monday"')
@click.option(
    "--without",
    "without",
    multiple=True,
    metavar="NODE",
    help="Only this node is given up; the others still have to be read. May be repeated.",
    shell_complete=complete_nodes,
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for the audit log.")
@assume_yes
@pass_app
def resume(app: App, without: tuple[str, ...], reason: str, yes: bool) -> None:
    """After a restore: act again without having read nodes that no longer exist.

    Without --without all that were not read yet are given up.
    """
    with app.services() as services:
        store = services.store
        if not store.observe_only():
            _resumed(app, (), ())
            return
        named = tuple(_known(store, name) for name in without)
        unread = store.unread()
        given_up = tuple(n for n in unread if not named or n in named)
        if given_up:
            click.echo(clean_block(_RISK.format(nodes="\n  ".join(given_up))), err=True)
            reason = _reason(reason, yes=yes)
            confirm(f"Act again without reading {count(len(given_up), 'node')}?", yes=yes)
        store.leave_observe_only(actor=app.actor(), reason=reason, nodes=given_up)
        _resumed(app, given_up, store.unread())


def _known(store: Any, name: str) -> str:
    if store.node(name) is None:
        raise OperatorError(f"there is no node {name!r}", fix="cto node list shows all of them")
    return name


def _reason(given: str, *, yes: bool) -> str:
    """What the audit log will say; asked for where there is somebody to ask."""
    if given.strip():
        return given.strip()
    if yes or not sys.stdin.isatty():
        raise OperatorError("the audit log needs a reason", fix='add --yes --reason "what became of them"')
    return str(click.prompt("What became of them (for the audit log)", err=True))


def _resumed(app: App, given_up: Sequence[str], unread: Sequence[str]) -> None:
    if app.json:
        document({"given_up": given_up, "unread": unread, "observe_only": bool(unread)})
        return
    for name in given_up:
        click.echo(f"{clean(name)}: no longer waited for")
    if unread:
        click.echo(f"  → still to be read: {', '.join(map(clean, unread))}; cto apply does that")
    elif given_up:
        click.echo("the controller acts again\n  → take dead nodes out of the site files, then run cto apply")
    else:
        click.echo("nothing to resume: no node is waiting to be read after a restore")


@verb("upgrade", example="cto store upgrade")
@pass_app
def upgrade(app: App) -> None:
    """Bring the store of an older cto up to date, in one transaction, after a copy of it.

    Whatever changes something does so by itself; what only looks, as `cto status` does, asks for this.
    """
    from controller.store.home import Home

    copies = Home.locate(app.home, environ=app.environ).backups
    before = set(copies.glob("before-*.db"))
    with app.services() as services:
        services.store.audit_head()  # opening it for writing is what does it
    made = sorted(set(copies.glob("before-*.db")) - before)
    if app.json:
        document({"changed": bool(made), "copy": str(made[0]) if made else ""})
    elif made:
        click.echo(f"the store is up to date; as it was before: {made[0]}")
    else:
        click.echo("the store is up to date; nothing is changed")


store = Noun("store", help="Back up and restore the fleet store.").add(backup, restore, resume, upgrade)
