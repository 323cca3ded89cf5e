"""Enrolment tokens in the store: created, listed, revoked, and consumed so that one use is one machine.

Secrets are sealed, bound to their token. Speaks no protocol: what a machine has to prove is in
`roles.enrollment`, and a token is consumed only after that proof.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from controller.store import audit
from controller.store.base import Unit, iso
from controller.store.secretbox import Secret
from controller.store.secrets import SecretsChapter
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Role
from roles.enrollment.token import Token

ROLES: tuple[str, ...] = get_args(Role)
MAX_USES = 100
LONGEST = timedelta(days=90)
# One condition, for reading a secret and for using a token up alike.
_USABLE = "id = ? AND uses > 0 AND revoked_at = '' AND expires_at > ?"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """All there is to know of a token but its secret."""

    id: str
    site: str
    role: str
    granted: int
    uses: int  # that are left
    actor: str
    created_at: str
    expires_at: str
    revoked_at: str

    def state(self, at: datetime) -> str:
        if self.revoked_at:
            return "revoked"
        if not self.uses:
            return "used"
        return "good" if self.expires_at > iso(at) else "expired"


_COLUMNS = "id, site, role, granted, uses, actor, created_at, expires_at, revoked_at"


class TokensChapter(SecretsChapter):
    def create_token(
        self, token: Token, *, site: str, role: str, uses: int, life: timedelta, actor: str
    ) -> TokenRow:
        """Keeps a fresh token. Its text is not to be had again."""
        _check(role, uses, life)
        box = self._box()
        sealed = box.seal(token.secret, table="tokens", pk=token.id, column="sealed")
        expires = iso(self._now() + life)
        with self._unit() as unit:
            if unit.one("SELECT 1 FROM sites WHERE name = ?", [site]) is None:
                known = ", ".join(row["name"] for row in unit.execute("SELECT name FROM sites ORDER BY name"))
                raise OperatorError(
                    f"there is no site {site!r}",
                    fix=f"name one of {known}" if known else "declare it first: cto apply -f SITE-FILE",
                )
            unit.execute(
                "INSERT INTO tokens (id, site, role, key_id, sealed, granted, uses, actor, created_at,"
                " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [token.id, site, role, box.key.id, sealed, uses, uses, actor, unit.at, expires],
            )
            unit.event("TokenCreated", "controller", f"enrolment token {token.id} for {role} at {site}")
            after = f"{site} {role} uses={uses} until {expires}"
            unit.audit(audit.Entry(actor, "create token", f"tokens/{token.id}", after=after))
        return self.token(token.id)

    def tokens(self) -> tuple[TokenRow, ...]:
        """Newest first."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at DESC, id")  # noqa: S608 -- constant
        return tuple(TokenRow(**dict(row)) for row in rows)

    def token(self, token_id: str) -> TokenRow:
        row = self._row(f"SELECT {_COLUMNS} FROM tokens WHERE id = ?", [token_id])  # noqa: S608 -- constant
        if row is None:
            raise _unknown(token_id)
        return TokenRow(**dict(row))

    def revoke_token(self, token_id: str, *, actor: str) -> TokenRow:
        """It is good for nothing from now on. Revoking twice is as good as once."""
        with self._unit() as unit:
            row = unit.one("SELECT revoked_at FROM tokens WHERE id = ?", [token_id])
            if row is None:
                raise _unknown(token_id)
            if not row["revoked_at"]:
                unit.execute("UPDATE tokens SET revoked_at = ? WHERE id = ?", [unit.at, token_id])
                unit.event("TokenRevoked", "controller", f"enrolment token {token_id} was revoked")
                unit.audit(audit.Entry(actor, "revoke token", f"tokens/{token_id}"))
        return self.token(token_id)

    def token_secret(self, token_id: str, now: datetime) -> Secret | None:
        """To check a machine's proof with; None for a token that is unknown or not good at `now`."""
        row = self._row(f"SELECT sealed FROM tokens WHERE {_USABLE}", [token_id, iso(now)])  # noqa: S608 -- constant
        if row is None:
            return None
        return self._box().open(row["sealed"], table="tokens", pk=token_id, column="sealed")

    def consume(self, token_id: str, now: datetime, *, actor: str = "engine") -> TokenRow:
        """Takes one use, once the machine has proved the token; raises RefusedError if none is left.

        One UPDATE asks and takes, so of any number of callers at once only as many win as there are uses.
        """
        with self._unit() as unit:
            taken = take_use(unit, token_id, now, actor=actor)
        if not taken:
            raise RefusedError(
                "this token is not known, used up, expired or revoked",
                where=f"tokens/{token_id}",
                fix="see `cto token list`, or make another with `cto token create`",
            )
        return self.token(token_id)


def take_use(unit: Unit, token_id: str, now: datetime, *, actor: str) -> bool:
    """Inside the transaction of whoever needs it; False if there is none left."""
    taken = unit.execute(
        f"UPDATE tokens SET uses = uses - 1 WHERE {_USABLE}",  # noqa: S608 -- constant
        [token_id, iso(now)],
    ).rowcount
    action = "consume token" if taken else "refuse token"
    unit.audit(audit.Entry(actor, action, f"tokens/{token_id}", after=iso(now)))
    return bool(taken)


def revoke_all(unit: Unit, *, actor: str) -> None:
    """Every token that was still good: after a restore nobody knows what became of it in between."""
    rows = unit.execute(
        "UPDATE tokens SET revoked_at = ? WHERE uses > 0 AND revoked_at = '' RETURNING id", [unit.at]
    ).fetchall()
    if rows:
        ids = ", ".join(sorted(row["id"] for row in rows))
        unit.event("TokenRevoked", "controller", f"{len(rows)} enrolment tokens were revoked by the restore")
        unit.audit(audit.Entry(actor, "revoke token", f"tokens/{ids}"[:500], reason="store restored"))


def _check(role: str, uses: int, life: timedelta) -> None:
    if role not in ROLES:
        raise OperatorError(f"there is no role {role!r}", fix=f"name one of {', '.join(ROLES)}")
    if not 1 <= uses <= MAX_USES:
        raise OperatorError(
            f"a token can't have {uses} uses", fix=f"1 to {MAX_USES}; one token for one machine is safest"
        )
    if not timedelta(0) < life <= LONGEST:
        raise OperatorError(
            "a token can't live that long or short", fix=f"at most {LONGEST.days} days, such as 24h or 7d"
        )


def _unknown(token_id: str) -> OperatorError:
    return OperatorError(f"there is no token {token_id!r}", fix="see `cto token list` for the ids")
