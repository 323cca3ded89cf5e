"""Reads the tables of people, for the writer's connection and for the readers' alike. Recognizes nobody."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from inventory.errors import UnknownName
from web.access.grants import Grant
from web.access.ports import AccountView, ApiTokenView, PeoplePolicy, SessionView

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]
SHOWN = 12  # hex digits of a session's digest, to name it by


def account_views(rows: Rows) -> tuple[AccountView, ...]:
    """By name."""
    held: dict[str, list[Grant]] = {}
    for row in rows("SELECT account, grant_text FROM grants ORDER BY account, grant_text", []):
        held.setdefault(row["account"], []).append(Grant.parse(row["grant_text"]))
    return tuple(
        AccountView(
            name=row["name"],
            grants=tuple(held.get(row["name"], ())),
            has_password=bool(row["password"]),
            has_totp=row["totp"] is not None,
            disabled=bool(row["disabled_at"]),
            created_at=row["created_at"],
            created_by=row["created_by"],
            seen_at=row["seen_at"],
        )
        for row in rows("SELECT * FROM accounts ORDER BY name", [])
    )


def account_row(rows: Rows, name: str) -> sqlite3.Row | None:
    found = rows("SELECT * FROM accounts WHERE name = ?", [name])
    return found[0] if found else None


def grants_of(rows: Rows, name: str) -> tuple[Grant, ...]:
    found = rows("SELECT grant_text FROM grants WHERE account = ? ORDER BY grant_text", [name])
    return tuple(Grant.parse(row["grant_text"]) for row in found)


def policy(rows: Rows) -> PeoplePolicy:
    found = rows("SELECT second_factor, leaked FROM people_policy", [])
    return PeoplePolicy(*found[0]) if found else PeoplePolicy()


def fleet_words(rows: Rows) -> tuple[str, ...]:
    """Names that everybody here knows, so that nobody should build a password from them."""
    found = rows(
        "SELECT organization AS word FROM sites UNION SELECT name FROM sites UNION SELECT name FROM clusters",
        [],
    )
    return tuple(row["word"] for row in found if row["word"])


def session_row(rows: Rows, hash_: str) -> sqlite3.Row | None:
    """With what decides whether the account owes a second factor; None also if that is disabled."""
    found = rows(
        "SELECT s.*, a.totp IS NOT NULL AS has_totp,"
        " (SELECT second_factor FROM people_policy) AS second_factor"
        " FROM sessions s JOIN accounts a ON a.name = s.account"
        " WHERE s.hash = ? AND a.disabled_at = ''",
        [hash_],
    )
    return found[0] if found else None


def session_views(rows: Rows, account: str) -> tuple[SessionView, ...]:
    """The youngest first."""
    found = rows("SELECT * FROM sessions WHERE account = ? ORDER BY began_at DESC, hash", [account])
    return tuple(
        SessionView(
            row["hash"][:SHOWN], row["account"], row["method"], row["source"], row["began_at"], row["seen_at"]
        )
        for row in found
    )


def code_row(rows: Rows, hash_: str, at: str) -> sqlite3.Row | None:
    found = rows(
        "SELECT c.* FROM codes c JOIN accounts a ON a.name = c.account"
        " WHERE c.hash = ? AND c.expires_at > ? AND a.disabled_at = ''",
        [hash_, at],
    )
    return found[0] if found else None


def token_row(rows: Rows, hash_: str, at: str) -> sqlite3.Row | None:
    """A token that is good at that time."""
    found = rows(
        "SELECT t.* FROM api_tokens t JOIN accounts a ON a.name = t.account"
        " WHERE t.hash = ? AND t.revoked_at = '' AND t.expires_at > ? AND a.disabled_at = ''",
        [hash_, at],
    )
    return found[0] if found else None


def token_views(rows: Rows, account: str = "") -> tuple[ApiTokenView, ...]:
    """The youngest first; of one account, or of all."""
    found = rows("SELECT * FROM api_tokens WHERE ? IN ('', account) ORDER BY created_at DESC, id", [account])
    return tuple(
        ApiTokenView(
            id=row["id"],
            account=row["account"],
            note=row["note"],
            grant=Grant.parse(row["grant_text"]),
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
            used_at=row["used_at"],
        )
        for row in found
    )


def must_know_account(row: Any, name: str) -> Any:
    if row is None:
        raise UnknownName(f"there is no account {name!r}", fix="see `cto user list` for the accounts")
    return row
