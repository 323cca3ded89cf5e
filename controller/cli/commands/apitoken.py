"""`cto apitoken`: tokens with which programs use the API. A token's text is shown once, here."""

import click

from controller.cli.base import App, Noun, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, table
from inventory.errors import UnknownName


@verb("create", example='cto apitoken create --note "backup job" --grant viewer --days 30')
@click.option("--note", required=True, help="What it is for.")
@click.option(
    "--grant", "grant_text", required=True, metavar="GRANT", help="As in viewer or operator:site=berlin."
)
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True, help="Its life.")
@click.option("--account", default="local", show_default=True, metavar="NAME", help="Whose it is.")
@pass_app
def create(app: App, note: str, grant_text: str, days: int, account: str) -> None:
    """Make an API token and print it, once. It never may more than the account it belongs to."""
    from controller.app.people_admin import create_api_token
    from controller.store import people_read
    from controller.store.accounts import LOCAL
    from web.access.grants import Grant, Principal

    with app.services() as services:
        if account == LOCAL:
            services.store.ensure_local(actor=app.actor())
        found = next((each for each in services.store.accounts() if each.name == account), None)
        owner = Principal(account, "code", people_read.must_know_account(found, account).grants)
        view, text = create_api_token(
            services, owner, Grant.parse(grant_text), note=note, days=days, actor=app.actor()
        )
    if app.json:
        document({"id": view.id, "token": text, "grant": str(view.grant), "expires_at": view.expires_at})
        return
    click.echo(text)
    click.echo(f"  → {view.grant}, until {view.expires_at}; it is not shown again", err=True)


@verb("list", example="cto apitoken list --output json")
@pass_app
def list_tokens(app: App) -> None:
    """Every API token that was made, and what became of it. Shows no secret."""
    from controller.store.base import iso

    with app.services() as services:
        found = services.store.api_tokens()
    now = iso(app.now())
    rows = [
        {
            "id": each.id,
            "account": each.account,
            "note": each.note,
            "grant": str(each.grant),
            "state": "revoked" if each.revoked_at else "expired" if each.expires_at <= now else "good",
            "expires_at": each.expires_at,
            "used_at": each.used_at,
        }
        for each in found
    ]
    if app.json:
        document(rows)
    elif not rows:
        click.echo("no API tokens; make one with `cto apitoken create`")
    else:
        names = ("id", "account", "note", "grant", "state", "expires_at", "used_at")
        table(
            ("ID", "OF", "FOR", "MAY", "STATE", "EXPIRES", "USED"),
            [[row[name] for name in names] for row in rows],
        )


@verb("revoke", example="cto apitoken revoke 5d1c0b2a9f")
@click.argument("token_id", metavar="ID")
@pass_app
def revoke(app: App, token_id: str) -> None:
    """Make an API token worthless at once."""
    with app.services() as services:
        if token_id not in {each.id for each in services.store.api_tokens()}:
            # It may be a whole token: then it must not come back in an error or a log.
            raise UnknownName("there is no API token with this id", fix="see `cto apitoken list`")
        services.store.revoke_api_token(token_id, actor=app.actor())
    if app.json:
        document({"id": token_id, "state": "revoked"})
    else:
        click.echo(f"API token {token_id} is revoked")


apitoken = Noun("apitoken", help="Tokens for programs: create, list, revoke.").add(
    create, list_tokens, revoke
)
