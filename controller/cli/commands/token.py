"""`cto token`: makes, lists and revokes the tokens that machines enrol with.

A token's text is shown once, here, and kept nowhere in clear. Enrols nobody.
"""

import re
from typing import TYPE_CHECKING

import click

from controller.cli.base import App, Noun, complete_sites, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, table
from controller.cli.qr import qr
from inventory.errors import OperatorError

if TYPE_CHECKING:
    from datetime import timedelta

    from controller.store.tokens import TokenRow

_ROLES = ("controlplane", "worker", "appliance")


@verb("create", example="cto token create --site berlin --role worker")
@click.option(
    "--site", required=True, metavar="NAME", help="Where it is good.", shell_complete=complete_sites
)
@click.option("--role", required=True, type=click.Choice(_ROLES), help="What the machine may become.")
@click.option("--uses", default=1, show_default=True, metavar="N", help="How many machines may use it.")
@click.option("--expires", default="24h", show_default=True, metavar="TIME", help="Life: 30m, 24h, 7d.")
@pass_app
def create(app: App, site: str, role: str, uses: int, expires: str) -> None:
    """Make a token and show it, once: as text and as a QR code. Whoever has it can ask to join."""
    import secrets

    from roles.enrollment.token import ID_BYTES, SECRET_BYTES, Token

    life = _span(expires)
    with app.services() as services:
        made = Token.make(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
        row = services.store.create_token(made, site=site, role=role, uses=uses, life=life, actor=app.actor())
    if app.json:
        document({"token": made.to_text(), **_plain(row)})
        return
    click.echo(made.to_text())
    click.echo(qr(made.to_text()), nl=False)
    click.echo(f"{role} at {site}, uses: {row.uses}, until {row.expires_at}. It is not shown again.")


@verb("list", example="cto token list --output json")
@pass_app
def list_tokens(app: App) -> None:
    """Every token that was made, and what became of it. Shows no secret."""
    with app.services() as services:
        rows = services.store.tokens()
    shown = [{**_plain(row), "state": row.state(app.now())} for row in rows]
    if app.json:
        document(shown)
    elif not shown:
        click.echo("no tokens; make one with `cto token create`")
    else:
        names = ("id", "site", "role", "state", "uses", "granted", "expires_at", "actor")
        table(
            ("ID", "SITE", "ROLE", "STATE", "LEFT", "OF", "EXPIRES", "BY"),
            [[str(each[name]) for name in names] for each in shown],
        )


@verb("revoke", example="cto token revoke K7Q2MZ4XAB")
@click.argument("token_id", metavar="ID")
@pass_app
def revoke(app: App, token_id: str) -> None:
    """Make a token worthless at once. Machines that it let in already stay."""
    from roles.enrollment.token import ID

    wanted = token_id.strip().upper()
    if not ID.fullmatch(wanted):  # perhaps a whole token: then it must not come back in an error or a log
        raise OperatorError(
            "this is not the id of a token", fix="give only the ten characters that `cto token list` shows"
        )
    with app.services() as services:
        row = services.store.revoke_token(wanted, actor=app.actor())
    if app.json:
        document(_plain(row))
    else:
        click.echo(f"token {row.id} is revoked")


def _span(text: str) -> "timedelta":
    from datetime import timedelta

    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text.strip(), re.ASCII)
    if found is None:
        raise OperatorError(f"--expires: {text[:20]!r} is not a length of time", fix="write 30m, 24h or 7d")
    return int(found[1]) * timedelta(minutes={"m": 1, "h": 60, "d": 1440}[found[2]])


def _plain(row: "TokenRow") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(row)


token = Noun("token", help="Enrolment tokens: create, list, revoke.").add(create, list_tokens, revoke)
