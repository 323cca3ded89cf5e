"""Sessions, one-time codes, API tokens, failed tries and kept replies in the store.

Only digests come in here: who makes cookies, codes and tokens keeps their texts to themselves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.store import audit, people_read
from controller.store.accounts import AccountsChapter, known_account
from controller.store.base import Unit, iso
from inventory.errors import BusyError, RefusedError
from web.access.grants import Grant
from web.access.ports import ApiTokenView, Reply, SessionView, TooManyTries

PER_ACCOUNT, PER_SOURCE, SPAN = 5, 20, timedelta(minutes=15)
_FORGET, _MOST_SESSIONS = timedelta(days=1), 20


@dataclass(frozen=True, slots=True)
class NewSession:
    hash: str
    account: str
    method: str
    source: str
    longest: timedelta  # older ones of this account are swept away


class SessionsChapter(AccountsChapter):
    # --- tries

    def begin_try(self, subject: str, source: str) -> int:
        """Counts a try as failed before it is looked at, so that many at once don't slip through."""
        with self._unit() as unit:
            now = datetime.fromisoformat(unit.at)
            unit.execute("DELETE FROM tries WHERE at < ?", [iso(now - _FORGET)])
            for column, value, most in (("subject", subject, PER_ACCOUNT), ("source", source, PER_SOURCE)):
                rows = unit.execute(
                    f"SELECT at FROM tries WHERE {column} = ? AND at > ? ORDER BY at",  # noqa: S608 -- one of two
                    [value, iso(now - SPAN)],
                ).fetchall()
                if len(rows) >= most:
                    again = datetime.fromisoformat(rows[-most]["at"]) + SPAN
                    raise TooManyTries(int((again - now).total_seconds()) + 1)
            made = unit.execute(
                "INSERT INTO tries (subject, source, at) VALUES (?, ?, ?)", [subject, source, unit.at]
            )
            return made.lastrowid or 0

    def forgive_try(self, try_id: int, subject: str) -> None:
        """It was the right password: earlier mistakes with this account count no longer."""
        with self._unit() as unit:
            unit.execute("DELETE FROM tries WHERE id = ? OR subject = ?", [try_id, subject])

    def note_failure(self, who: str, *, source: str, why: str) -> None:
        """`who` is a known account or "unknown": never what somebody typed."""
        with self._unit() as unit:
            unit.event("LoginFailed", "controller", f"{who} from {source}: {why}")
            unit.audit(
                audit.Entry(f"user:{who}", "fail to log in", "session", reason=f"{why}, from {source}")
            )

    # --- sessions

    def open_session(self, new: NewSession) -> None:
        with self._unit() as unit:
            known_account(unit, new.account)
            oldest = iso(datetime.fromisoformat(unit.at) - new.longest)
            unit.execute("DELETE FROM sessions WHERE began_at < ?", [oldest])
            unit.execute(
                "INSERT INTO sessions (hash, account, method, source, began_at, seen_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [new.hash, new.account, new.method, new.source, unit.at, unit.at],
            )
            unit.execute(
                "DELETE FROM sessions WHERE account = ? AND hash NOT IN"
                " (SELECT hash FROM sessions WHERE account = ? ORDER BY began_at DESC, rowid DESC LIMIT ?)",
                [new.account, new.account, _MOST_SESSIONS],
            )
            unit.execute("UPDATE accounts SET seen_at = ? WHERE name = ?", [unit.at, new.account])
            unit.audit(
                audit.Entry(
                    f"user:{new.account}", "log in", "session", after=new.method, reason=f"from {new.source}"
                )
            )

    def touch_session(self, hash_: str) -> None:
        self._loosely("UPDATE sessions SET seen_at = ? WHERE hash = ?", [self._stamp(), hash_])

    def end_session(self, hash_: str, *, actor: str, why: str) -> None:
        with self._unit() as unit:
            ended = unit.execute("DELETE FROM sessions WHERE hash = ? RETURNING account", [hash_]).fetchall()
            for row in ended:
                unit.audit(audit.Entry(actor, "log out", "session", after=row["account"], reason=why))

    def end_shown_session(self, account: str, shown: str, *, actor: str) -> None:
        """By the short digest that pages show."""
        for row in self._rows("SELECT hash FROM sessions WHERE account = ?", [account]):
            if row["hash"][: people_read.SHOWN] == shown:
                self.end_session(row["hash"], actor=actor, why="ended by hand")

    def sessions(self, account: str) -> tuple[SessionView, ...]:
        return people_read.session_views(self._rows, account)

    # --- one-time codes

    def put_code(self, hash_: str, account: str, purpose: str, *, life: timedelta, actor: str) -> None:
        """Takes the place of every earlier code of this account."""
        with self._unit() as unit:
            row = known_account(unit, account)
            if row["disabled_at"]:
                raise RefusedError(f"account {account!r} is disabled", fix="enable it first")
            expires = iso(datetime.fromisoformat(unit.at) + life)
            unit.execute("DELETE FROM codes WHERE account = ? OR expires_at < ?", [account, unit.at])
            unit.execute(
                "INSERT INTO codes (hash, account, purpose, actor, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [hash_, account, purpose, actor, unit.at, expires],
            )
            unit.audit(audit.Entry(actor, "make one-time code", f"accounts/{account}", after=purpose))

    def take_code(self, hash_: str, purpose: str) -> str:
        """The account it was for; "" if it is not known, used or over. One caller gets it."""
        with self._unit() as unit:
            taken = unit.execute(
                "DELETE FROM codes WHERE hash = ? AND purpose = ? AND expires_at > ? RETURNING account",
                [hash_, purpose, unit.at],
            ).fetchall()
            return str(taken[0]["account"]) if taken else ""

    # --- API tokens

    def create_api_token(
        self, id_: str, hash_: str, account: str, grant: Grant, *, note: str, life: timedelta, actor: str
    ) -> ApiTokenView:
        with self._unit() as unit:
            known_account(unit, account)
            expires = iso(datetime.fromisoformat(unit.at) + life)
            unit.execute(
                "INSERT INTO api_tokens (id, account, hash, note, grant_text, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [id_, account, hash_, note, str(grant), unit.at, expires],
            )
            unit.event("ApiTokenCreated", "controller", f"API token {id_} of {account}: {grant}")
            unit.audit(
                audit.Entry(actor, "create API token", f"api-tokens/{id_}", after=f"{grant} until {expires}")
            )
        return next(each for each in self.api_tokens(account) if each.id == id_)

    def api_tokens(self, account: str = "") -> tuple[ApiTokenView, ...]:
        return people_read.token_views(self._rows, account)

    def revoke_api_token(self, id_: str, *, actor: str) -> None:
        with self._unit() as unit:
            gone = unit.execute(
                "UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at = ''", [unit.at, id_]
            )
            if gone.rowcount:
                unit.event("ApiTokenRevoked", "controller", f"API token {id_} was revoked")
                unit.audit(audit.Entry(actor, "revoke API token", f"api-tokens/{id_}"))

    def touch_api_token(self, id_: str) -> None:
        self._loosely("UPDATE api_tokens SET used_at = ? WHERE id = ?", [self._stamp(), id_])

    # --- replies to writes that carry an idempotency key

    def begin_reply(self, person: str, key: str, digest: str) -> Reply | None:
        with self._unit() as unit:
            unit.execute("DELETE FROM replies WHERE at < ?", [iso(datetime.fromisoformat(unit.at) - _FORGET)])
            row = unit.one("SELECT * FROM replies WHERE person = ? AND key = ?", [person, key])
            if row is None:
                unit.execute(
                    "INSERT INTO replies (person, key, digest, at) VALUES (?, ?, ?, ?)",
                    [person, key, digest, unit.at],
                )
                return None
        if row["digest"] != digest:
            raise RefusedError(
                "this idempotency key was used for another request", fix="make a new key for each act"
            )
        if not row["status"]:
            raise BusyError("the same request is still under way", fix="wait, then ask again with this key")
        return Reply(row["status"], row["body"])

    def keep_reply(self, person: str, key: str, reply: Reply | None) -> None:
        with self._unit() as unit:
            if reply is None:
                unit.execute("DELETE FROM replies WHERE person = ? AND key = ?", [person, key])
            else:
                unit.execute(
                    "UPDATE replies SET status = ?, body = ? WHERE person = ? AND key = ?",
                    [reply.status, reply.body, person, key],
                )


def forget_people(unit: Unit, *, actor: str) -> None:
    """After a restore: what was ended or revoked since the backup would be good again, so all of it ends."""
    for table in ("sessions", "codes", "replies"):
        unit.execute(f"DELETE FROM {table}")  # noqa: S608 -- one of three
    rows = unit.execute(
        "UPDATE api_tokens SET revoked_at = ? WHERE revoked_at = '' RETURNING id", [unit.at]
    ).fetchall()
    if rows:
        ids = ", ".join(sorted(row["id"] for row in rows))
        unit.event("ApiTokenRevoked", "controller", f"{len(rows)} API tokens were revoked by the restore")
        unit.audit(audit.Entry(actor, "revoke API token", f"api-tokens/{ids}"[:500], reason="store restored"))
