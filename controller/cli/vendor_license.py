"""`cto vendor license`: makes a publisher's key and issues licences with it. Keeps no list of them.

The key belongs on a computer without a network. Its file is sealed with a passphrase, which is asked for and
never taken from the command line.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from controller.cli.base import App, Noun, pass_app, read_text
from controller.cli.base import command as verb
from controller.cli.output import document
from inventory.errors import OperatorError

PASSPHRASE = "CTO_VENDOR_PASSPHRASE"  # noqa: S105 - the name of a variable


@verb("key", example="cto vendor license key --out publisher.key")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The new key file."
)
@pass_app
def key(app: App, out: Path) -> None:
    """Make a publisher's key: FILE (secret, sealed by a passphrase) and FILE.pub for customers."""
    import base64
    import secrets

    from nacl.signing import SigningKey

    from controller.app.vendor_key import seal
    from controller.cli.commands.cluster import write_new
    from controller.core.license.document import key_id

    seed = secrets.token_bytes(32)
    public = bytes(SigningKey(seed).verify_key)
    shown = out.with_name(out.name + ".pub")
    if shown.exists():
        raise OperatorError("there is such a file already", where=str(shown), fix="name another")
    write_new(out, seal(seed, passphrase(app, new=True)).encode())
    write_new(shown, base64.b64encode(public) + b"\n")
    if app.json:
        document({"key": key_id(public), "file": str(out), "public": str(shown)})
    else:
        click.echo(f"key {key_id(public)}: {out} (keep it offline, and a copy elsewhere) and {shown}")


@verb(
    "issue",
    example="cto vendor license issue --key publisher.key --holder 'Acme AG' --nodes 200 --days 365"
    " --out acme.license",
)
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path), help="The publisher's key."
)
@click.option("--holder", required=True, metavar="NAME", help="Whom it is for.")
@click.option("--nodes", type=click.IntRange(min=0), metavar="N", help="At most; left out: any number.")
@click.option("--clusters", type=click.IntRange(min=0), metavar="N", help="At most; left out: any number.")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=365, show_default=True, help="How long it holds."
)
@click.option("--from", "start", metavar="DATE", help="From when on, such as 2027-01-31. Default: now.")
@click.option(
    "--controller", default="", metavar="ID", help="Only for this one: cto license show tells its id."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The new licence."
)
@pass_app
def issue(
    app: App,
    /,
    *,
    key_file: Path,
    holder: str,
    nodes: int | None,
    clusters: int | None,
    days: int,
    start: str | None,
    controller: str,
    out: Path,
) -> None:
    """Sign a licence for a customer."""
    import secrets

    from controller.app.vendor_key import unseal
    from controller.cli.commands.cluster import write_new
    from controller.core.license import document as licenses

    begin = _date(start) if start else app.now().replace(microsecond=0)
    made = licenses.License(
        f"lic_{secrets.token_hex(8)}",
        holder,
        begin,
        begin + timedelta(days=days),
        nodes,
        clusters,
        controller,
    )
    seed = unseal(read_text(key_file), passphrase(app), where=str(key_file))
    text = licenses.issue(made.payload(), seed)
    licenses.read(text, licenses.keys_of(seed))  # a holder with a line break, say: better here than there
    write_new(out, text.encode())
    if app.json:
        document({"id": made.id, "file": str(out), "expires": made.expires.isoformat()})
    else:
        click.echo(f"licence {made.id} for {holder}, until {made.expires:%Y-%m-%d}: {out}")


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise OperatorError(f"--from: {text[:20]!r} is not a date", fix="write 2027-01-31") from None


def passphrase(app: App, *, name: str = "the key", new: bool = False) -> str:
    """Asked for at the terminal; a script puts it into the environment."""
    given = app.environ.get(PASSPHRASE, "")
    if given:
        return given
    if not os.isatty(0):
        raise OperatorError(
            "the key's passphrase is needed, and there is no terminal to ask",
            fix=f"run it in a terminal, or set {PASSPHRASE}",
        )
    answer: str = click.prompt(f"Passphrase of {name}", hide_input=True, confirmation_prompt=new, err=True)
    return answer


license_ = Noun("license", help="Make the publisher's key; issue licences with it.").add(key, issue)
