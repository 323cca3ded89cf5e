"""The token as text: `CTO1-`, ten characters of id, a hyphen, 26 characters of secret (RFC 4648 base32).

Upper case only, so that a QR code can use its alphanumeric mode. Makes no randomness and stores nothing.
"""

import base64
import re
from dataclasses import dataclass, field

from inventory.errors import OperatorError

ID_LENGTH, SECRET_BYTES = 10, 16
ID_BYTES = 7  # 56 bits, of which the first 50 are used
_TEXT = re.compile(r"CTO1-([A-Z2-7]{10})-([A-Z2-7]{26})", re.ASCII)
ID = re.compile(r"[A-Z2-7]{10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls, random: bytes) -> "Token":
        """From 23 random bytes: seven for the id, sixteen for the secret."""
        if len(random) != ID_BYTES + SECRET_BYTES:
            raise OperatorError(f"a token is made of {ID_BYTES + SECRET_BYTES} random bytes")
        return cls(_base32(random[:ID_BYTES])[:ID_LENGTH], random[ID_BYTES:])

    @classmethod
    def from_text(cls, text: str) -> "Token":
        """Raises OperatorError, which never repeats the text: it may be nearly right."""
        found = _TEXT.fullmatch(text.strip().upper()) if len(text) < 100 else None
        if found is not None:
            secret = base64.b32decode(found[2] + "======")
            if _base32(secret) == found[2]:  # the two spare bits are zero: one text for one token
                return cls(found[1], secret)
        raise OperatorError(
            "this is not an enrolment token",
            fix="use the whole text that `cto token create` showed, from CTO1- to the last character",
        )

    def to_text(self) -> str:
        return f"CTO1-{self.id}-{_base32(self.secret)}"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=")
