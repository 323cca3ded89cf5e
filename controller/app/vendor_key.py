"""A publisher's signing key as a file: a 32-byte seed, sealed by a passphrase. Knows not what it signs.

The passphrase is stretched by Argon2id (RFC 9106) with PyNaCl's moderate settings (256 MiB, about half a
second), the seed sealed by XSalsa20-Poly1305. One line: the kind, the salt, the sealed seed.
"""

import base64
import binascii
from typing import TYPE_CHECKING

from inventory.errors import OperatorError

if TYPE_CHECKING:
    from nacl.secret import SecretBox

_KIND = "cto-vendor-key/v1"


def seal(seed: bytes, passphrase: str) -> str:
    """Raises OperatorError for a passphrase that protects nothing."""
    from nacl import pwhash, utils

    if len(passphrase) < 12:
        raise OperatorError("the passphrase is too short", fix="take at least 12 characters: four words, say")
    salt = utils.random(pwhash.argon2id.SALTBYTES)
    sealed = _box(passphrase, salt).encrypt(seed)
    return f"{_KIND} {base64.b64encode(salt).decode()} {base64.b64encode(sealed).decode()}\n"


def unseal(text: str, passphrase: str, *, where: str) -> bytes:
    """Raises OperatorError for a file that is none, or another passphrase."""
    from nacl.exceptions import CryptoError

    try:
        kind, salt, sealed = text.split()
        if kind != _KIND:
            raise ValueError(kind)  # noqa: TRY301
        parts = base64.b64decode(salt, validate=True), base64.b64decode(sealed, validate=True)
        return _box(passphrase, parts[0]).decrypt(parts[1])
    except (ValueError, binascii.Error) as error:
        raise OperatorError(
            "this is not a publisher's key", where=where, fix="name the file that cto vendor wrote"
        ) from error
    except CryptoError as error:
        raise OperatorError(
            "this passphrase does not open the key", where=where, fix="try another, or the key's copy"
        ) from error


def _box(passphrase: str, salt: bytes) -> "SecretBox":
    from nacl import pwhash, secret

    stretched = pwhash.argon2id.kdf(
        secret.SecretBox.KEY_SIZE,
        passphrase.encode(),
        salt,
        opslimit=pwhash.argon2id.OPSLIMIT_MODERATE,
        memlimit=pwhash.argon2id.MEMLIMIT_MODERATE,
    )
    return secret.SecretBox(stretched)
