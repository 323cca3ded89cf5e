"""`cto user`: who may use the pages and the API, and what. No password ever passes through here."""

from typing import TYPE_CHECKING, Any

import click

from controller.cli.base import App, Noun, assume_yes, complete_from, confirm, pass_app
from controller.cli.base import command as verb
from controller.cli.output import document, table
from controller.cli.text import clean
from web.access.ports import FACTOR_OF

if TYPE_CHECKING:
    from web.access.ports import AccountView


def _names(queries: Any) -> list[str]:
    from controller.store import people_read

    return [each.name for each in people_read.account_views(queries.rows)]


_complete = complete_from(_names)
_name = click.argument("name", metavar="NAME", shell_complete=_complete)
_GRANTS = "viewer, operator or admin; at some sites only: operator:site=berlin, viewer:region=eu"


@verb("add", example="cto user add olga --grant operator:site=berlin")
@click.argument("name", metavar="NAME")
@click.option("--grant", "grants", multiple=True, required=True, metavar="GRANT", help=_GRANTS)
@pass_app
def add(app: App, name: str, grants: tuple[str, ...]) -> None:
    """Add an account, and print the one-time code with which its owner chooses a password."""
    from controller.app.people_admin import invite
    from web.access.grants import Grant

    with app.services() as services:
        code = invite(services, name, [Grant.parse(each) for each in grants], actor=app.actor())
        _show_code(app, services, name, code)


@verb("list", example="cto user list --output json")
@pass_app
def list_users(app: App) -> None:
    """Every account, what it may do, and when it was used last."""
    with app.services() as services:
        accounts = services.store.accounts()
    if app.json:
        document([_plain(each) for each in accounts])
    elif not accounts:
        click.echo("no accounts yet; `cto serve` prints a link that logs in, `cto user add` adds one")
    else:
        table(
            ("ACCOUNT", "MAY", "STATE", "LAST LOGIN"),
            [[each.name, " ".join(map(str, each.grants)), _state(each), each.seen_at] for each in accounts],
        )


@verb("grant", example="cto user grant olga operator:site=munich")
@_name
@click.argument("grants", nargs=-1, required=True, metavar="GRANT…")
@pass_app
def grant(app: App, name: str, grants: tuple[str, ...]) -> None:
    """Let an account do more: viewer, operator or admin; at some sites only as in admin:region=eu."""
    _change(app, name, grants, more=True)


@verb("revoke", example="cto user revoke olga operator:site=munich")
@_name
@click.argument("grants", nargs=-1, required=True, metavar="GRANT…")
@pass_app
def revoke(app: App, name: str, grants: tuple[str, ...]) -> None:
    """Take grants away, from the next click on."""
    _change(app, name, grants, more=False)


@verb("code", example="cto user code olga")
@click.argument("name", metavar="[NAME]", default="local", shell_complete=_complete)
@click.option("--forget-second-factor", "forget", is_flag=True, help="It was lost, too: take it off.")
@pass_app
def code(app: App, name: str, forget: bool) -> None:
    """Print a link or a code that works once: to log in on this computer, or for somebody's new password.

    Without NAME it logs in as `local`, who may do everything. An account's second factor stays, unless it
    was lost as well.
    """
    from controller.app.people_admin import new_code

    with app.services() as services:
        _show_code(app, services, name, new_code(services, name, actor=app.actor(), forget_factor=forget))


@verb("disable", example="cto user disable olga --yes")
@_name
@assume_yes
@pass_app
def disable(app: App, name: str, yes: bool) -> None:
    """End an account's sessions, and let nobody in with it or with its tokens."""
    confirm(f"Disable the account {clean(name)}?", yes=yes)
    _switch(app, name, disabled=True)


@verb("enable", example="cto user enable olga")
@_name
@pass_app
def enable(app: App, name: str) -> None:
    """Undo `disable`."""
    _switch(app, name, disabled=False)


@verb("logout", example="cto user logout olga")
@click.argument("name", metavar="[NAME]", default="", shell_complete=_complete)
@click.option("--all", "everybody", is_flag=True, help="Everybody's sessions.")
@pass_app
def logout(app: App, name: str, everybody: bool) -> None:
    """End all sessions of an account, or everybody's. They may log in again; API tokens stay good."""
    from inventory.errors import OperatorError

    if bool(name) == everybody:
        raise OperatorError("whose sessions are to end is not clear", fix="name one account, or pass --all")
    with app.services() as services:
        ended = services.store.end_sessions(name, actor=app.actor())
    if app.json:
        document({"account": name or "*", "ended": ended})
    else:
        click.echo(f"{ended} sessions of {clean(name) or 'everybody'} are over")


@verb("policy", example="cto user policy --second-factor admins")
@click.option("--second-factor", "factor", type=click.Choice(FACTOR_OF), help="Of whom it is asked.")
@click.option(
    "--leaked-passwords",
    "leaked",
    metavar="FILE",
    help='Passwords in it are refused: SHA-1 hashes in order. "none": no list.',
)
@pass_app
def policy(app: App, factor: str | None, leaked: str | None) -> None:
    """What is asked of every account; without options, what that is now.

    Who owes a second factor can do nothing on the pages but set one up. `local` owes none: it is whoever may
    read this home.
    """
    from dataclasses import asdict, replace
    from pathlib import Path

    from controller.app.leaked import checked_list

    with app.services() as services:
        now = services.store.people_policy()
        if factor is not None:
            now = replace(now, second_factor=factor)
        if leaked is not None:
            now = replace(now, leaked="" if leaked == "none" else str(checked_list(Path(leaked))))
        services.store.set_people_policy(now, actor=app.actor())
    if app.json:
        document(asdict(now))
    else:
        click.echo(f"a second factor is asked of: {now.second_factor}")
        click.echo(f"leaked passwords: {clean(now.leaked) or 'the 30,000 most common that come with this'}")


def _switch(app: App, name: str, *, disabled: bool) -> None:
    with app.services() as services:
        services.store.set_disabled(name, disabled, actor=app.actor())
    if app.json:
        document({"account": name, "disabled": disabled})
    else:
        click.echo(f"{clean(name)} is {'disabled' if disabled else 'enabled'}")


def _change(app: App, name: str, texts: tuple[str, ...], *, more: bool) -> None:
    from controller.store import people_read
    from inventory.errors import OperatorError
    from web.access.grants import Grant

    asked = {Grant.parse(each) for each in texts}
    with app.services() as services:
        found = next((each for each in services.store.accounts() if each.name == name), None)
        held = set(people_read.must_know_account(found, name).grants)
        if not more and not asked <= held:
            missing = ", ".join(sorted(map(str, asked - held)))
            raise OperatorError(f"{name} does not have {missing}", fix="see `cto user list`")
        services.store.set_grants(name, held | asked if more else held - asked, actor=app.actor())
        now = next(each for each in services.store.accounts() if each.name == name)
    if app.json:
        document(_plain(now))
    else:
        click.echo(f"{clean(name)} may: {' '.join(map(str, now.grants)) or 'nothing'}")


def _show_code(app: App, services: Any, name: str, made: str) -> None:
    from controller.app.serve import served_at

    url = served_at(services.home)
    if app.json:
        document({"account": name, "code": made, "url": f"{url}enter#{made}" if url else ""})
        return
    click.echo(f"{url}enter#{made}" if url else made)
    where = "" if url else "at /enter, once `cto serve` runs; "
    click.echo(f"  → {where}works once, within a day, for {clean(name)}", err=True)


def _state(account: "AccountView") -> str:
    if account.disabled:
        return "disabled"
    if not account.has_password:
        return "by one-time code"
    return "password and second factor" if account.has_totp else "password"


def _plain(account: "AccountView") -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(account), "grants": [str(each) for each in account.grants]}


user = Noun("user", help="Accounts of the pages and the API: add, list, grant, revoke.").add(
    add, list_users, grant, revoke, code, disable, enable, logout, policy
)
