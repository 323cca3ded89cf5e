"""Passwords, second factors and random secrets: how they are made, judged and compared. Keeps nothing.

Argon2id with the second recommended setting of RFC 9106 (64 MiB, three passes); TOTP as RFC 6238 with
30-second steps. A few at a time only: each takes its 64 MiB.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from inventory.errors import OperatorError
from web.access.ports import MAX_PASSWORD, MIN_PASSWORD, Enrolling

if TYPE_CHECKING:
    from argon2 import PasswordHasher

ISSUER = "cto"
PRODUCT_WORDS = (ISSUER, "platform", "platform-in-a-box", "talos", "kubernetes", "controller")
_STEP, _SKEW = 30, 1  # seconds of one TOTP code; steps that clocks may differ
_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # no letter that looks like another
_GROUPS, _GROUP = 4, 7  # of a one-time code: 137 bits
_AT_ONCE = 2
_NAME, _LEFT = 3, 6  # characters of a name that counts as one; of a password without such names
_JUDGED, _LEAST_SCORE = 72, 2  # characters that zxcvbn looks at; 2: a million guesses and more


@dataclass(frozen=True, slots=True)
class Cost:
    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class Passwords:
    """Hashes and checks. `dummy` is compared with where there is no password, so that it takes as long."""

    def __init__(self, cost: Cost | None = None) -> None:
        self._cost = cost or Cost()
        self._limit = threading.BoundedSemaphore(_AT_ONCE)
        self._dummy = ""

    def hash(self, password: str) -> str:
        with self._limit:
            return self._hasher().hash(password)

    def verify(self, kept: str, password: str) -> bool:
        """Takes as long whether `kept` is a hash or empty."""
        from argon2.exceptions import InvalidHashError, VerificationError

        against = kept or self._dummy_hash()
        with self._limit:
            try:
                right = self._hasher().verify(against, password[:MAX_PASSWORD])
            except (VerificationError, InvalidHashError):
                return False
        return right and bool(kept) and len(password) <= MAX_PASSWORD

    def outdated(self, kept: str) -> bool:
        return self._hasher().check_needs_rehash(kept)

    def _hasher(self) -> "PasswordHasher":
        from argon2 import PasswordHasher

        cost = self._cost
        return PasswordHasher(cost.passes, cost.memory_kib, cost.lanes)

    def _dummy_hash(self) -> str:
        if not self._dummy:
            self._dummy = self.hash(secrets.token_hex(16))
        return self._dummy


def checked_password(password: str, *, name: str, words: Sequence[str] = ()) -> str:
    """A new password, or OperatorError. Length counts; letters of every kind are welcome. `words`: names that
    everybody in this organization knows.
    """
    if len(password) < MIN_PASSWORD or len(password) > MAX_PASSWORD:
        raise OperatorError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters",
            fix="three or four words in a row are long enough, and easy to keep in mind",
        )
    if name in password.lower() or _easily_guessed(password, [name, *PRODUCT_WORDS, *words]):
        raise OperatorError(
            "this password is among the first that somebody would try",
            fix="take words that have nothing to do with you or with each other",
        )
    return password


def _easily_guessed(password: str, known: list[str]) -> bool:
    """By lists of passwords that leaked, words, dates, keyboards' rows and repetition; and what is left of it
    without the names that everybody here knows.
    """
    from zxcvbn import zxcvbn

    left = password.lower()
    for word in sorted((each for each in known if len(each) >= _NAME), key=len, reverse=True):
        left = left.replace(word.lower(), "")
    if (
        left != password.lower()
        and sum(not each.isspace() and each not in "-_.!?+*#" for each in left) < _LEFT
    ):
        return True
    return bool(zxcvbn(password[:_JUDGED], user_inputs=known)["score"] < _LEAST_SCORE)


def totp_step(secret: str, code: str, at: datetime) -> int:
    """The step of time that `code` belongs to, give or take one; 0 if it is wrong."""
    import pyotp

    digits = "".join(code.split())
    now = int(at.timestamp()) // _STEP
    generator = pyotp.TOTP(secret)
    found = 0
    for step in range(now - _SKEW, now + _SKEW + 1):
        if hmac.compare_digest(generator.at(step * _STEP).encode(), digits.encode()):
            found = step
    return found


def new_totp(name: str) -> Enrolling:
    import pyotp

    secret = pyotp.random_base32()
    return Enrolling(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))


def new_secret() -> str:
    """For a cookie or a token: 256 bits."""
    return secrets.token_urlsafe(32)


def new_code() -> str:
    """Short enough to be typed, far too long to be guessed."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def plain_code(code: str) -> str:
    """As somebody may have typed it."""
    return code.strip().upper().replace(" ", "-")


def digest(secret: str) -> str:
    """What the store keeps of a cookie, a code or a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(cookie: str) -> str:
    """What a session's forms carry: told by the cookie, and telling nothing of it."""
    return hmac.new(cookie.encode(), b"cto-csrf-v1", hashlib.sha256).hexdigest()
