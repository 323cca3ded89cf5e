"""Seals secrets for the store: the key file and the box. Knows nothing of SQL.

A sealed value is bound to the table, row, column and key it was made for (additional data of
XChaCha20-Poly1305), so that a value moved to another row does not open.
"""

import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from controller.store.home import Home, write_private
from inventory.errors import StoreError

_HEADER = "cto-seal-key-v1"
_BYTES = 32


class Secret(bytes):
    """Secret bytes that don't show themselves in logs, tracebacks or f-strings."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str, /) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class SealKey:
    raw: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Names the key without telling anything of it."""
        return hashlib.sha256(b"cto-seal-key-id-v1" + self.raw).hexdigest()[:16]

    def to_text(self) -> str:
        """The form of the key file and of `cto key export`."""
        return f"{_HEADER} {self.id}\n{self.raw.hex()}\n"

    @classmethod
    def from_text(cls, text: str, *, where: str = "") -> "SealKey":
        """Raises StoreError unless `text` is a whole key: the id in its header finds typing errors."""
        fields = text.split()
        try:
            key = cls(bytes.fromhex(fields[2]))
        except (IndexError, ValueError):
            key = cls(b"")
        if len(fields) != 3 or fields[0] != _HEADER or len(key.raw) != _BYTES or fields[1] != key.id:
            raise StoreError(
                "this is not a seal key, or it is damaged",
                where=where,
                fix="use the text that `cto key export` printed, both lines unchanged",
            )
        return key

    @classmethod
    def load(cls, home: Home) -> "SealKey":
        try:
            text = home.key.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            raise StoreError(
                "the key that opens the stored secrets is missing",
                where=str(home.key),
                fix="put the text that `cto key export` printed into this file",
            ) from None
        return cls.from_text(text, where=str(home.key))

    @classmethod
    def create(cls, home: Home) -> "SealKey":
        """A new key in a new 0600 file. Never replaces one."""
        if home.key.exists():
            raise StoreError(
                "there is a seal key already", where=str(home.key), fix="keep it; it opens your secrets"
            )
        key = cls(secrets.token_bytes(_BYTES))
        key.save(home)
        return key

    def save(self, home: Home) -> None:
        write_private(home.key, self.to_text().encode())

    def same(self, other: "SealKey") -> bool:
        return hmac.compare_digest(self.raw, other.raw)


class SecretBox:
    def __init__(self, key: SealKey) -> None:
        self.key = key

    def seal(self, plaintext: bytes, *, table: str, pk: str, column: str) -> bytes:
        from nacl.secret import Aead

        return bytes(Aead(self.key.raw).encrypt(plaintext, self._context(table, pk, column)))

    def open(self, sealed: bytes, *, table: str, pk: str, column: str) -> Secret:
        from nacl.exceptions import CryptoError
        from nacl.secret import Aead

        try:
            return Secret(Aead(self.key.raw).decrypt(sealed, self._context(table, pk, column)))
        except (CryptoError, ValueError, binascii.Error) as error:
            raise StoreError(
                "a stored secret does not open: it was changed, moved, or sealed with another key",
                where=f"{table}/{pk}",
                fix="check that the right key file is in place, else restore a good backup",
            ) from error

    def _context(self, table: str, pk: str, column: str) -> bytes:
        return f"{table}|{pk}|{column}|{self.key.id}".encode()
