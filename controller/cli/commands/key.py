"""`cto key export`: the key that opens the store's secrets. Without it a backup is worth nothing."""

from pathlib import Path

import click

from controller.cli.base import App, Noun, assume_yes, confirm, pass_app
from controller.cli.base import command as verb
from controller.cli.commands.cluster import write_new
from controller.cli.output import document


@verb("export", example="cto key export --out /media/usb/cto.key")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it there (mode 0600).")
@assume_yes
@pass_app
def export(app: App, out: Path | None, yes: bool) -> None:
    """Write the key to a file, or print it. Keep it apart from backups: each is useless without the other."""
    from controller.store.secretbox import SealKey

    with app.services() as services:
        key = SealKey.load(services.home)
    if out is not None:
        write_new(out, key.to_text().encode())
    else:
        confirm("This prints the key that opens every stored secret. Go on?", yes=yes)
    if app.json:
        document({"key_id": key.id, "file": str(out)} if out else {"key_id": key.id, "key": key.to_text()})
    elif out is None:
        click.echo(key.to_text(), nl=False)
    else:
        click.echo(f"key {key.id} written to {out}. Keep it apart from backups.")


key = Noun("key", help="Export the key that opens the store's secrets.").add(export)
