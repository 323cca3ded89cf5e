"""What the pages know people by: `Access`. The store's side implements it; no HTTP, no hashing here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inventory.errors import RefusedError
from web.access.grants import Grant, Level, Principal

MIN_PASSWORD, MAX_PASSWORD = 12, 256
IDLE_SECONDS, LONGEST_SECONDS = 15 * 60, 8 * 3600  # of a session
FRESH_SECONDS = 10 * 60  # after a login; then sensitive acts ask once more who it is
FACTOR_OF = ("nobody", "admins", "everybody")  # of whom a second factor may be asked
TOKEN_DAYS = 90  # the longest life of an API token


class NotRecognized(RefusedError):
    """Nobody is logged in, or what was shown is not good (any more)."""

    slug = "not-recognized"


class NotAllowed(RefusedError):
    """Somebody is, and has no grant for this."""

    slug = "not-allowed"


class TooManyTries(RefusedError):
    """Of passwords or codes. `seconds`: when to try again."""

    slug = "too-many-tries"

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        minutes = max(1, -(-seconds // 60))
        super().__init__("too many failed tries", fix=f"wait {minutes} minutes, then try again")


class ConfirmFirst(NotAllowed):
    """Somebody is logged in, but for too long to do this without showing once more who they are."""

    slug = "confirm-first"


@dataclass(frozen=True, slots=True)
class PeoplePolicy:
    """What an organization asks of its accounts. `leaked`: a file of passwords that leaked."""

    second_factor: str = FACTOR_OF[0]
    leaked: str = ""

    def __str__(self) -> str:
        return f"second factor of {self.second_factor}, leaked passwords: {self.leaked or 'no list'}"

    def asks_factor(self, grants: Sequence[Grant]) -> bool:
        admin = any(grant.level is Level.ADMIN for grant in grants)
        return self.second_factor == "everybody" or (self.second_factor == "admins" and admin)


@dataclass(frozen=True, slots=True)
class AccountView:
    name: str
    grants: tuple[Grant, ...]
    has_password: bool
    has_totp: bool
    disabled: bool
    created_at: str
    created_by: str
    seen_at: str = ""  # the last login; empty: never


@dataclass(frozen=True, slots=True)
class SessionView:
    id: str  # a short digest, to name it by; opens nothing
    account: str
    method: str
    source: str
    began_at: str
    seen_at: str


@dataclass(frozen=True, slots=True)
class ApiTokenView:
    id: str
    account: str
    note: str
    grant: Grant
    created_at: str
    expires_at: str
    revoked_at: str = ""
    used_at: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """A new session. `cookie` is its whole secret and is to be had only here."""

    principal: Principal
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enrolling:
    """A second factor that is about to be set up."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a write answered, kept for a repetition of the same request."""

    status: int
    body: str


class Access(Protocol):
    """Recognizes people and keeps their accounts. Called from several threads."""

    # --- coming and going
    def login(self, name: str, password: str, totp: str, *, source: str) -> Login:
        """Raises NotRecognized (one sentence, whatever was wrong) or TooManyTries."""
        ...

    def enter(self, code: str, *, source: str) -> Login:
        """By a one-time code that was shown on this computer. Raises as `login`."""
        ...

    def code_for(self, code: str, *, source: str) -> str:
        """What a code is good for ("enter" or "password"), without using it up."""
        ...

    def choose_password(self, code: str, password: str, *, source: str) -> Login:
        """The first password of an account, or a new one, by a one-time code."""
        ...

    def confirm(self, who: Principal, proof: str, totp: str, *, source: str) -> Login:
        """Once more who it is: by everything that a login asks for, or a new code where there is no password.
        A session of its own; the caller ends the one before. Raises as `login`.
        """
        ...

    def recognize(self, cookie: str, *, source: str, look: bool = False) -> Principal | None:
        """`look`: without counting as use, so that an open page alone does not keep a session alive."""
        ...

    def bearer(self, token: str, *, source: str) -> Principal | None: ...
    def logout(self, cookie: str) -> None: ...

    # --- one's own
    def sessions(self, account: str) -> Sequence[SessionView]: ...
    def end_session(self, who: Principal, id_: str) -> None: ...
    def change_password(self, who: Principal, old: str, new: str, totp: str) -> None: ...
    def begin_totp(self, who: Principal) -> Enrolling: ...
    def confirm_totp(self, who: Principal, secret: str, code: str, password: str) -> None: ...
    def remove_totp(self, who: Principal, password: str, totp: str) -> None: ...

    # --- of everybody
    def accounts(self) -> Sequence[AccountView]: ...
    def invite(self, who: Principal, name: str, grants: Sequence[Grant]) -> str:
        """A new account. Returns the one-time code with which its owner chooses a password."""
        ...

    def new_code(self, who: Principal, name: str, *, forget_factor: bool = False) -> str:
        """For somebody who lost their password; with `forget_factor` also the second factor."""
        ...

    def set_grants(self, who: Principal, name: str, grants: Sequence[Grant]) -> None: ...
    def disable(self, who: Principal, name: str, *, disabled: bool) -> None: ...
    def end_sessions(self, who: Principal, name: str) -> None:
        """All of somebody's."""
        ...

    def api_tokens(self, account: str = "") -> Sequence[ApiTokenView]: ...
    def create_api_token(
        self, who: Principal, grant: Grant, *, note: str, days: int
    ) -> tuple[ApiTokenView, str]:
        """The token and its text, which is not to be had again. Never more than its owner may."""
        ...

    def revoke_api_token(self, who: Principal, id_: str) -> None: ...

    # --- writes that are sent twice
    def reply(self, who: Principal, key: str, digest: str) -> Reply | None:
        """What the same request answered; None: it is new, and now under way. Raises RefusedError if the
        key was used for another request, BusyError if the first one is still under way.
        """
        ...

    def keep_reply(self, who: Principal, key: str, reply: Reply | None) -> None:
        """None: it failed in a way that may be tried again."""
        ...
