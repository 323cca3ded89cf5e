"""Administration of accounts and API tokens, for pages, API and command line alike. Recognizes nobody."""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from controller.app import passwords as pw
from controller.app.services import Services
from controller.app.writing import Writing
from controller.store import people_read
from controller.store.accounts import LOCAL
from controller.store.queries import StoreQueries
from inventory.errors import OperatorError, RefusedError
from web.access.grants import Grant, Principal
from web.access.ports import TOKEN_DAYS, AccountView, ApiTokenView, Reply

CODE_LIFE = timedelta(hours=24)
TOKEN_PREFIX = "cto_"  # noqa: S105 - so that scanners for leaked secrets know one
FIRST = "admin"  # the account of the first administrator
_MAX_NOTE, _MAX_KEY = 80, 128


class PeopleAdmin:
    def __init__(self, queries: StoreQueries, writing: Writing, *, now: Callable[[], datetime]) -> None:
        self._queries, self._writing, self._now = queries, writing, now

    def accounts(self) -> Sequence[AccountView]:
        return people_read.account_views(self._queries.rows)

    def invite(self, who: Principal, name: str, grants: Sequence[Grant]) -> str:
        return self._writing.run(lambda s: invite(s, name, grants, actor=who.actor))

    def new_code(self, who: Principal, name: str, *, forget_factor: bool = False) -> str:
        return self._writing.run(lambda s: new_code(s, name, actor=who.actor, forget_factor=forget_factor))

    def set_grants(self, who: Principal, name: str, grants: Sequence[Grant]) -> None:
        self._writing.run(lambda s: s.store.set_grants(name, grants, actor=who.actor))

    def disable(self, who: Principal, name: str, *, disabled: bool) -> None:
        if name == who.account:
            raise RefusedError("nobody disables the account they use", fix="let another administrator do it")
        self._writing.run(lambda s: s.store.set_disabled(name, disabled, actor=who.actor))

    def end_sessions(self, who: Principal, name: str) -> None:
        self._writing.run(lambda s: s.store.end_sessions(name, actor=who.actor))

    def api_tokens(self, account: str = "") -> Sequence[ApiTokenView]:
        return people_read.token_views(self._queries.rows, account)

    def create_api_token(
        self, who: Principal, grant: Grant, *, note: str, days: int
    ) -> tuple[ApiTokenView, str]:
        return self._writing.run(lambda s: create_api_token(s, who, grant, note=note, days=days))

    def revoke_api_token(self, who: Principal, id_: str) -> None:
        self._writing.run(lambda s: s.store.revoke_api_token(id_, actor=who.actor))

    def reply(self, who: Principal, key: str, digest: str) -> Reply | None:
        if not 8 <= len(key) <= _MAX_KEY or not key.isprintable():
            raise OperatorError(
                "this is no idempotency key", fix=f"8 to {_MAX_KEY} printable characters, such as a UUID"
            )
        return self._writing.run(lambda s: s.store.begin_reply(who.actor, key, digest))

    def keep_reply(self, who: Principal, key: str, reply: Reply | None) -> None:
        self._writing.run(lambda s: s.store.keep_reply(who.actor, key, reply))

    def _account(self, name: str) -> sqlite3.Row:
        row: sqlite3.Row = people_read.must_know_account(
            people_read.account_row(self._queries.rows, name), name
        )
        return row


def invite(services: Services, name: str, grants: Sequence[Grant], *, actor: str) -> str:
    """A new account, and the one-time code with which its owner chooses a password."""
    services.store.add_account(name, grants, actor=actor)
    return _make_code(services, name, "password", actor=actor)


def new_code(services: Services, name: str, *, actor: str, forget_factor: bool = False) -> str:
    """A one-time code: to choose a password with, or for `local` to enter. The second factor stays, so that a
    code alone opens no account that has one; unless that was lost, too.
    """
    if name == LOCAL:
        services.store.ensure_local(actor=actor)
        return _make_code(services, name, "enter", actor=actor)
    code = _make_code(services, name, "password", actor=actor)
    if forget_factor and services.store.totp(name) is not None:
        services.store.put_totp(name, None, actor=actor)
    return code


def first_code(services: Services, *, loopback: bool, actor: str) -> tuple[str, str]:
    """(code, account) for whoever started `cto serve`: on this computer it enters, elsewhere it makes the
    first administrator. ("", "") where that account was disabled, or an administrator can log in already.
    """
    accounts = services.store.accounts()
    name = LOCAL if loopback else FIRST
    able = [each for each in accounts if each.has_password and not each.disabled]
    if any(each.name == name and each.disabled for each in accounts):
        return "", ""
    if not loopback and any(str(grant) == "admin" for each in able for grant in each.grants):
        return "", ""
    if not loopback and not any(each.name == FIRST for each in accounts):
        return invite(services, FIRST, [Grant.parse("admin")], actor=actor), FIRST
    return new_code(services, name, actor=actor), name


def create_api_token(
    services: Services, who: Principal, grant: Grant, *, note: str, days: int, actor: str = ""
) -> tuple[ApiTokenView, str]:
    """The token and its text. It may never do more than its owner. `actor`: who makes it, if not they."""
    if not 1 <= days <= TOKEN_DAYS:
        raise OperatorError(f"a token lives 1 to {TOKEN_DAYS} days", fix=f"ask for {TOKEN_DAYS} at most")
    said = " ".join(note.split())
    if not said or len(said) > _MAX_NOTE:
        raise OperatorError(
            "say in a few words what this token is for",
            fix=f"1 to {_MAX_NOTE} characters, such as: backup job",
        )
    if not any(own.level >= grant.level and own.covers(dict(grant.labels)) for own in who.grants):
        raise RefusedError(
            f"you can't hand out {grant}: you don't have it", fix="ask an administrator, or ask for less"
        )
    text = TOKEN_PREFIX + pw.new_secret()
    id_ = secrets.token_hex(5)
    view = services.store.create_api_token(
        id_,
        pw.digest(text),
        who.account,
        grant,
        note=said,
        life=timedelta(days=days),
        actor=actor or who.actor,
    )
    return view, text


def _make_code(services: Services, name: str, purpose: str, *, actor: str) -> str:
    code = pw.new_code()
    services.store.put_code(pw.digest(code), name, purpose, life=CODE_LIFE, actor=actor)
    return code
