"""Accounts in the store: people, what they are granted, their passwords' hashes and sealed second factors.

Keeps and audits. Hashing and the rules of passwords are the use case's; sessions have a chapter of their own.
"""

from collections.abc import Iterable

from controller.store import audit, people_read
from controller.store.base import Unit
from controller.store.secretbox import Secret
from controller.store.secrets import SecretsChapter
from inventory.errors import OperatorError, RefusedError
from web.access.grants import Grant, Level, checked_name
from web.access.ports import AccountView, PeoplePolicy

LOCAL = "local"  # whoever may read this home: enters only by a one-time code, has no password


class AccountsChapter(SecretsChapter):
    def accounts(self) -> tuple[AccountView, ...]:
        return people_read.account_views(self._rows)

    def add_account(self, name: str, grants: Iterable[Grant], *, actor: str) -> None:
        """An account that nobody can enter yet: it has no password."""
        checked_name(name)
        texts = sorted({str(grant) for grant in grants})
        with self._unit() as unit:
            if unit.one("SELECT 1 FROM accounts WHERE name = ?", [name]) is not None:
                raise OperatorError(
                    f"there is an account {name!r} already", fix="choose another name, or change its grants"
                )
            unit.execute(
                "INSERT INTO accounts (name, created_at, created_by) VALUES (?, ?, ?)", [name, unit.at, actor]
            )
            _put_grants(unit, name, texts)
            unit.event("AccountAdded", "controller", f"account {name}: {', '.join(texts) or 'no grant'}")
            unit.audit(audit.Entry(actor, "add account", f"accounts/{name}", after=", ".join(texts)))

    def ensure_local(self, *, actor: str) -> None:
        """The account of whoever may read this home; it may do everything."""
        if people_read.account_row(self._rows, LOCAL) is None:
            self.add_account(LOCAL, [Grant(Level.ADMIN)], actor=actor)

    def set_grants(self, name: str, grants: Iterable[Grant], *, actor: str) -> None:
        """In place of those it has. Somebody who may do everything must be left."""
        texts = sorted({str(grant) for grant in grants})
        with self._unit() as unit:
            known_account(unit, name)
            able, before = _may_do_everything(unit), _texts(unit, name)
            if before == texts:
                return
            unit.execute("DELETE FROM grants WHERE account = ?", [name])
            _put_grants(unit, name, texts)
            _somebody_is_left(unit, able)
            unit.event("GrantsChanged", "controller", f"account {name}: {', '.join(texts) or 'no grant'}")
            unit.audit(
                audit.Entry(
                    actor, "set grants", f"accounts/{name}", before=", ".join(before), after=", ".join(texts)
                )
            )

    def set_disabled(self, name: str, disabled: bool, *, actor: str) -> None:
        """A disabled account's sessions end and its tokens are worth nothing while it is."""
        with self._unit() as unit:
            row = known_account(unit, name)
            able = _may_do_everything(unit)
            if bool(row["disabled_at"]) == disabled:
                return
            unit.execute(
                "UPDATE accounts SET disabled_at = ? WHERE name = ?", [unit.at if disabled else "", name]
            )
            if disabled:
                _end_all(unit, name)
            _somebody_is_left(unit, able)
            word = "disable account" if disabled else "enable account"
            unit.event("AccountDisabled" if disabled else "AccountEnabled", "controller", f"account {name}")
            unit.audit(audit.Entry(actor, word, f"accounts/{name}"))

    def set_password(self, name: str, hash_: str, *, actor: str, keep_session: str = "") -> None:
        """Ends every session but `keep_session` (a cookie's digest)."""
        with self._unit() as unit:
            known_account(unit, name)
            if name == LOCAL:
                raise RefusedError("this account has no password", fix="make one of your own: cto user add")
            unit.execute("UPDATE accounts SET password = ? WHERE name = ?", [hash_, name])
            unit.execute("DELETE FROM sessions WHERE account = ? AND hash <> ?", [name, keep_session])
            unit.audit(audit.Entry(actor, "set password", f"accounts/{name}"))

    def rehash_password(self, name: str, before: str, hash_: str) -> None:
        """The same password with today's cost; unless it was changed meanwhile."""
        with self._unit() as unit:
            unit.execute(
                "UPDATE accounts SET password = ? WHERE name = ? AND password = ?", [hash_, name, before]
            )

    def end_sessions(self, name: str, *, actor: str) -> int:
        """All of an account's, or with "" everybody's. How many there were."""
        with self._unit() as unit:
            if name:
                known_account(unit, name)
            gone = unit.execute("DELETE FROM sessions WHERE ? IN ('', account)", [name]).rowcount
            unit.audit(audit.Entry(actor, "end sessions", f"accounts/{name or '*'}", after=f"{gone} ended"))
            return int(gone)

    def people_policy(self) -> PeoplePolicy:
        return people_read.policy(self._rows)

    def set_people_policy(self, policy: PeoplePolicy, *, actor: str) -> None:
        """What is asked of accounts, from the next click on."""
        with self._unit() as unit:
            before = people_read.policy(self._rows)
            if before == policy:
                return
            unit.execute(
                "INSERT OR REPLACE INTO people_policy (id, second_factor, leaked, changed_at)"
                " VALUES (1, ?, ?, ?)",
                [policy.second_factor, policy.leaked, unit.at],
            )
            unit.event("PolicyChanged", "controller", f"accounts: {policy}")
            unit.audit(audit.Entry(actor, "set policy", "accounts", before=str(before), after=str(policy)))

    def put_totp(self, name: str, secret: bytes | None, *, actor: str, keep_session: str = "") -> None:
        """None takes the second factor away. Sessions end but `keep_session` (as pages show it)."""
        box = self._box()
        sealed = None
        if secret is not None:
            sealed = box.seal(secret, table="accounts", pk=name, column="totp")
        with self._unit() as unit:
            known_account(unit, name)
            unit.execute(
                "UPDATE accounts SET totp = ?, key_id = ?, totp_used = 0 WHERE name = ?",
                [sealed, box.key.id if sealed else "", name],
            )
            unit.execute(
                "DELETE FROM sessions WHERE account = ? AND substr(hash, 1, ?) <> ?",
                [name, people_read.SHOWN, keep_session],
            )
            word = "set second factor" if sealed else "remove second factor"
            unit.event("SecondFactorChanged", "controller", f"account {name}: {word}")
            unit.audit(audit.Entry(actor, word, f"accounts/{name}"))

    def totp(self, name: str) -> Secret | None:
        row = people_read.account_row(self._rows, name)
        if row is None or row["totp"] is None:
            return None
        return self._box().open(row["totp"], table="accounts", pk=name, column="totp")

    def use_totp(self, name: str, step: int) -> bool:
        """False if a code of this step of time, or of a later one, was used before."""
        with self._unit() as unit:
            taken = unit.execute(
                "UPDATE accounts SET totp_used = ? WHERE name = ? AND totp_used < ?", [step, name, step]
            )
            return taken.rowcount == 1


def known_account(unit: Unit, name: str) -> dict[str, object]:
    row = unit.one("SELECT * FROM accounts WHERE name = ?", [name])
    return dict(people_read.must_know_account(row, name))


def _texts(unit: Unit, name: str) -> list[str]:
    rows = unit.execute("SELECT grant_text FROM grants WHERE account = ? ORDER BY grant_text", [name])
    return [row["grant_text"] for row in rows]


def _put_grants(unit: Unit, name: str, texts: list[str]) -> None:
    unit.connection.executemany(
        "INSERT INTO grants (account, grant_text) VALUES (?, ?)", [(name, text) for text in texts]
    )


def _end_all(unit: Unit, name: str) -> None:
    unit.execute("DELETE FROM sessions WHERE account = ?", [name])
    unit.execute("DELETE FROM codes WHERE account = ?", [name])


def _may_do_everything(unit: Unit) -> int:
    """How many accounts."""
    row = unit.one(
        "SELECT count(*) AS n FROM accounts a JOIN grants g ON g.account = a.name"
        " WHERE a.disabled_at = '' AND g.grant_text = ?",
        [str(Grant(Level.ADMIN))],
    )
    return int(row["n"]) if row else 0


def _somebody_is_left(unit: Unit, before: int) -> None:
    if before and not _may_do_everything(unit):
        raise RefusedError(
            "nobody would be left who may do everything", fix="grant `admin` to another account first"
        )
