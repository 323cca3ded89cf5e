"""`cto store`: backup and restore of the fleet store. The key that opens its secrets is never in a backup."""

from pathlib import Path

import click

from controller.cli.base import App, Noun, assume_yes, confirm, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document, plain
from inventory.errors import OperatorError


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
    from controller.store.home import Home
    from controller.store.secretbox import SealKey

    home = Home.locate(app.home, environ=app.environ)
    if key_file is None and not home.key.exists():
        fix = "pass what `cto key export` wrote: --key FILE"
        raise OperatorError(
            "the key that opens this backup's secrets is not here", where=str(home.key), fix=fix
        )
    confirm(f"Replace the store in {home.root} by {path}? The old one is kept aside.", yes=yes)
    key = SealKey.from_text(read_text(key_file), where=str(key_file)) if key_file else None
    done = Store.restore(path, home, now=app.now, key=key, actor=app.actor())
    if app.json:
        document({"restored": str(path), "kept": done.replaced, "epoch": done.epoch, "unread": done.unread})
        return
    click.echo(
        f"restored from {path}" + (f"; the old store is kept in {done.replaced}" if done.replaced else "")
    )
    if done.unread:
        click.echo(f"  → {len(done.unread)} nodes have to be read before any is changed: cto apply does that")


store = Noun("store", help="Back up and restore the fleet store.").add(backup, restore)
