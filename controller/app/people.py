"""Recognizes people and keeps their accounts: `web.access.ports.Access` over the store.

Reads go through read-only connections, writes through the writing thread. Decides who somebody is; what
they may do is decided by their grants, in front of each route.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from controller.app import leaked
from controller.app import passwords as pw
from controller.app.people_admin import PeopleAdmin
from controller.app.writing import Writing
from controller.store import people_read
from controller.store.base import iso
from controller.store.queries import StoreQueries
from controller.store.sessions import NewSession
from controller.store.store import Store
from inventory.errors import RefusedError
from web.access.grants import Grant, Principal
from web.access.ports import (
    FRESH_SECONDS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MAX_PASSWORD,
    Enrolling,
    Login,
    NotRecognized,
    PeoplePolicy,
    SessionView,
)

_IDLE, _LONGEST = timedelta(seconds=IDLE_SECONDS), timedelta(seconds=LONGEST_SECONDS)
_FRESH = timedelta(seconds=FRESH_SECONDS)
_TOUCH = timedelta(seconds=30)  # a session's last sight is not written down more often


class People(PeopleAdmin):
    def __init__(
        self,
        queries: StoreQueries,
        writing: Writing,
        *,
        now: Callable[[], datetime],
        passwords: pw.Passwords | None = None,
    ) -> None:
        super().__init__(queries, writing, now=now)
        self._passwords = passwords or pw.Passwords()

    # --- coming and going

    def login(self, name: str, password: str, totp: str, *, source: str) -> Login:
        subject = pw.digest(f"name {name.strip().lower()}")
        try_id = self._writing.run(lambda s: s.store.begin_try(subject, source))
        row = people_read.account_row(self._queries.rows, name)
        kept = row["password"] if row is not None and not row["disabled_at"] else ""
        right = self._passwords.verify(kept, password)
        second = self._second(row, totp) if right and row is not None else ""
        if row is None or not second:
            why = "wrong password or account" if not right else "wrong second factor"
            who = str(row["name"]) if row is not None else "unknown"
            self._writing.run(lambda s: s.store.note_failure(who, source=source, why=why))
            raise _wrong()
        self._writing.run(lambda s: s.store.forgive_try(try_id, subject))
        if self._passwords.outdated(kept):
            renewed = self._passwords.hash(password)
            self._writing.run(lambda s: s.store.rehash_password(name, kept, renewed))
        return self._open(name, second, source)

    def enter(self, code: str, *, source: str) -> Login:
        account = self._take(code, "enter", source)
        return self._open(account, "code", source)

    def code_for(self, code: str, *, source: str) -> str:
        """Asking counts as a try, for a code that is not good."""
        row = self._code(code)
        if row is not None:
            return str(row["purpose"])
        self._failed_code(source)
        raise _no_code()

    def choose_password(self, code: str, password: str, *, source: str) -> Login:
        row = self._code(code)
        if row is None or row["purpose"] != "password":
            self._failed_code(source)
            raise _no_code()
        hashed = self._hash_new(password, name=row["account"])
        account = self._take(code, "password", source)
        self._writing.run(lambda s: s.store.set_password(account, hashed, actor=f"user:{account}"))
        if self._account(account)["totp"] is None:
            return self._open(account, "password", source)
        raise NotRecognized("the password is set", fix="log in with it and your second factor")

    def confirm(self, who: Principal, proof: str, totp: str, *, source: str) -> Login:
        if self._account(who.account)["password"]:
            return self.login(who.account, proof, totp, source=source)
        row = self._code(proof)
        if row is None or row["account"] != who.account:
            self._failed_code(source)
            raise _no_code()
        return self.enter(proof, source=source)

    def recognize(self, cookie: str, *, source: str, look: bool = False) -> Principal | None:
        if not cookie or len(cookie) > MAX_PASSWORD:
            return None
        hash_ = pw.digest(cookie)
        row = people_read.session_row(self._queries.rows, hash_)
        if row is None:
            return None
        now, seen = self._now(), datetime.fromisoformat(row["seen_at"])
        age = now - datetime.fromisoformat(row["began_at"])
        if now - seen > _IDLE or age > _LONGEST:
            self._writing.later(
                lambda s: s.store.end_session(hash_, actor=f"user:{row['account']}", why="its time was over")
            )
            return None
        if now - seen > _TOUCH and not look:
            self._writing.later(lambda s: s.store.touch_session(hash_))
        grants = people_read.grants_of(self._queries.rows, row["account"])
        return Principal(
            account=row["account"],
            method=row["method"],
            grants=grants,
            source=source,
            began_at=row["began_at"],
            session=hash_[: people_read.SHOWN],
            fresh=age <= _FRESH,
            owes_factor=_owes(row, grants),
            csrf=pw.csrf_of(cookie),
        )

    def bearer(self, token: str, *, source: str) -> Principal | None:
        if not token or len(token) > MAX_PASSWORD:
            return None
        now = self._now()
        row = people_read.token_row(self._queries.rows, pw.digest(token), iso(now))
        if row is None:
            return None
        id_, used = row["id"], row["used_at"]
        if not used or now - datetime.fromisoformat(used) > _TOUCH:
            self._writing.later(lambda s: s.store.touch_api_token(id_))
        grant = Grant.parse(row["grant_text"])
        # Never more than its owner may today.
        owned = people_read.grants_of(self._queries.rows, row["account"])
        return Principal(row["account"], "token", _within(grant, owned), source, token_id=id_)

    def logout(self, cookie: str) -> None:
        hash_ = pw.digest(cookie)
        row = people_read.session_row(self._queries.rows, hash_)
        if row is not None:
            actor = f"user:{row['account']}"
            self._writing.run(lambda s: s.store.end_session(hash_, actor=actor, why="asked for"))

    # --- one's own

    def sessions(self, account: str) -> Sequence[SessionView]:
        oldest, now = iso(self._now() - _IDLE), self._now()
        found = people_read.session_views(self._queries.rows, account)
        return [s for s in found if s.seen_at > oldest and s.began_at > iso(now - _LONGEST)]

    def end_session(self, who: Principal, id_: str) -> None:
        self._writing.run(lambda s: s.store.end_shown_session(who.account, id_, actor=who.actor))

    def change_password(self, who: Principal, old: str, new: str, totp: str) -> None:
        """Every session ends, this one too."""
        self._confirm(who, old, totp)
        hashed = self._hash_new(new, name=who.account)
        self._writing.run(lambda s: s.store.set_password(who.account, hashed, actor=who.actor))

    def begin_totp(self, who: Principal) -> Enrolling:
        return pw.new_totp(who.account)

    def confirm_totp(self, who: Principal, secret: str, code: str, password: str) -> None:
        if self._account(who.account)["totp"] is not None:
            raise RefusedError("there is a second factor already", fix="turn that off first")
        self._confirm(who, password, "")
        step = pw.totp_step(secret, code, self._now())
        if not step:
            raise RefusedError("this code does not fit", fix="type the six digits that are shown now")
        self._writing.run(lambda s: self._put_totp(s.store, who, secret.encode()))
        self._writing.run(lambda s: s.store.use_totp(who.account, step))

    def remove_totp(self, who: Principal, password: str, totp: str) -> None:
        self._confirm(who, password, totp)
        self._writing.run(lambda s: self._put_totp(s.store, who, None))

    # --- inside

    def _second(self, row: sqlite3.Row, code: str) -> str:
        """The method of a login with the right password; "" if the second factor is wrong."""
        if row["totp"] is None:
            return "password"
        name = str(row["name"])
        secret = self._writing.run(lambda s: s.store.totp(name))
        step = pw.totp_step(bytes(secret).decode(), code, self._now()) if secret else 0
        used = step and self._writing.run(lambda s: s.store.use_totp(name, step))
        return "password+totp" if used else ""

    def _code(self, code: str) -> sqlite3.Row | None:
        return people_read.code_row(self._queries.rows, pw.digest(pw.plain_code(code)), iso(self._now()))

    def _put_totp(self, store: Store, who: Principal, secret: bytes | None) -> None:
        """The person's other sessions end: who holds one may not be they."""
        store.put_totp(who.account, secret, actor=who.actor, keep_session=who.session)

    def _hash_new(self, password: str, *, name: str) -> str:
        """Of a new password, if it is one that nobody guesses and none that is known to have leaked."""
        policy = people_read.policy(self._queries.rows)
        words = people_read.fleet_words(self._queries.rows)
        checked = pw.checked_password(password, name=name, words=words)
        if policy.leaked:
            leaked.must_not_be_in(policy.leaked, checked)
        return self._passwords.hash(checked)

    def _confirm(self, who: Principal, password: str, totp: str) -> None:
        """The one who has the session is the one who has the password, and the second factor."""
        subject = pw.digest(f"name {who.account}")
        try_id = self._writing.run(lambda s: s.store.begin_try(subject, who.source))
        row = self._account(who.account)
        if not self._passwords.verify(row["password"], password) or not self._second(row, totp):
            raise RefusedError(
                "the password or the second factor is wrong",
                fix="type what you log in with; a code is good once",
            )
        self._writing.run(lambda s: s.store.forgive_try(try_id, subject))

    def _open(self, account: str, method: str, source: str) -> Login:
        cookie = pw.new_secret()
        new = NewSession(pw.digest(cookie), account, method, source, _LONGEST)
        self._writing.run(lambda s: s.store.open_session(new))
        grants = people_read.grants_of(self._queries.rows, account)
        began = iso(self._now())
        shown = new.hash[: people_read.SHOWN]
        csrf = pw.csrf_of(cookie)
        return Login(Principal(account, method, grants, source, "", began, shown, csrf=csrf), cookie)

    def _take(self, code: str, purpose: str, source: str) -> str:
        hash_ = pw.digest(pw.plain_code(code))
        account = self._writing.run(lambda s: s.store.take_code(hash_, purpose))
        if not account:
            self._failed_code(source)
            raise _no_code()
        return account

    def _failed_code(self, source: str) -> None:
        self._writing.run(lambda s: s.store.begin_try(f"code {source}", source))
        self._writing.run(lambda s: s.store.note_failure("unknown", source=source, why="wrong one-time code"))


def _owes(row: sqlite3.Row, grants: Sequence[Grant]) -> bool:
    """Whoever enters by a code of this computer may read its home, and owes nothing more."""
    if row["method"] == "code" or row["has_totp"]:
        return False
    return PeoplePolicy(row["second_factor"] or "nobody").asks_factor(grants)


def _within(grant: Grant, owned: Sequence[Grant]) -> tuple[Grant, ...]:
    """What is left of a token's grant under the grants that its owner has now."""
    found = []
    for each in owned:
        both = dict(each.labels)
        if all(both.setdefault(key, value) == value for key, value in grant.labels):
            found.append(Grant(min(grant.level, each.level), tuple(sorted(both.items()))))
    return tuple(found)


def _wrong() -> NotRecognized:
    return NotRecognized(
        "account, password or second factor is wrong", fix="try again; an administrator can make a new code"
    )


def _no_code() -> NotRecognized:
    return NotRecognized(
        "this code is not good: it was used, its time is over, or it was never made",
        fix="on the computer that runs `cto serve`: cto user code",
    )
