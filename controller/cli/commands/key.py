"""`cto key`: exports the seal key, and prints the public SSH key. Makes no key itself.

Without the first, a backup is worth nothing; without the second on it, no machine lets the controller in.
"""

from pathlib import Path

import click

from controller.cli.base import App, Noun, assume_yes, confirm, pass_app
from controller.cli.base import command as verb
from controller.cli.commands.cluster import write_new
from controller.cli.output import document
from inventory.errors import OperatorError


@verb("export", example="cto key export --out /media/usb/cto.key")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it there (mode 0600).")
@assume_yes
@pass_app
def export(app: App, out: Path | None, yes: bool) -> None:
    """Write the key to a file, or print it. Keep it apart from backups: each is useless without the other."""
    from controller.store.secretbox import SealKey

    if out is None:
        confirm("This prints the key that opens every stored secret. Go on?", yes=yes)
    elif out.exists():  # before the audit log says that it was exported
        raise OperatorError("there is such a file already", where=str(out), fix="name another, or remove it")
    elif not out.absolute().parent.is_dir():
        raise OperatorError("there is no such folder", where=str(out.parent), fix="make or mount it first")
    with app.services() as services:
        text = services.store.export_key(actor=app.actor())
    key_id = SealKey.from_text(text, where="the store's key").id
    if out is not None:
        write_new(out, text.encode())
    if app.json:
        document({"key_id": key_id, "file": str(out)} if out else {"key_id": key_id, "key": text})
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"key {key_id} written to {out}. Keep it apart from backups.")


@verb("ssh", example="cto key ssh > authorized_keys")
@pass_app
def ssh(app: App) -> None:
    """Print the public key a machine must let in: a line for its /root/.ssh/authorized_keys. Not a secret."""
    with app.services() as services:
        line = services.ssh_public_key
    if app.json:
        document({"public_key": line.strip()})
    else:
        click.echo(line.strip())


key = Noun("key", help="The key that opens the store's secrets; the SSH key machines let in.").add(
    export, ssh
)
