"""The cryptography of enrolment: key from secret, the two MACs, the machine's signature. Decides nothing.

HKDF is RFC 5869 with SHA-256 (no salt, one block), HMAC is RFC 2104, signatures are Ed25519 by libsodium.
"""

import hashlib
import hmac
from typing import Literal

from roles.enrollment.transcript import PURPOSE, framed

MAC_BYTES = KEY_BYTES = 32
SIGNATURE_BYTES = 64
Side = Literal[b"N", b"C"]


def derive_key(secret: bytes) -> bytes:
    """K: HKDF-SHA256 of the token's secret, salt empty, info `cto-enroll-v1`, 32 bytes."""
    extracted = hmac.digest(bytes(32), secret, hashlib.sha256)
    return hmac.digest(extracted, PURPOSE + b"\x01", hashlib.sha256)


def mac(key: bytes, side: Side, transcript: bytes) -> bytes:
    """What `side` proves: the letters differ, so that one side's proof is never good for the other."""
    return hmac.digest(key, side + transcript, hashlib.sha256)


def verdict_mac(key: bytes, transcript: bytes, state: str, name: str, session: bytes) -> bytes:
    """The controller's word on what was decided: over T of this connection and the decision, under `V`."""
    said = framed(state.encode("ascii"), name.encode("ascii"), session)
    return hmac.digest(key, b"V" + transcript + said, hashlib.sha256)


def same(a: bytes, b: bytes) -> bool:
    return hmac.compare_digest(a, b)


def sign(seed: bytes, transcript: bytes) -> bytes:
    from nacl.signing import SigningKey

    return bytes(SigningKey(seed).sign(transcript).signature)


def public_key(seed: bytes) -> bytes:
    from nacl.signing import SigningKey

    return bytes(SigningKey(seed).verify_key)


def good_key(key: bytes) -> bool:
    """A canonical point of the main subgroup: not of small order, under which any signature could pass."""
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    return len(key) == KEY_BYTES and bool(crypto_core_ed25519_is_valid_point(key))


def signed(key: bytes, transcript: bytes, signature: bytes) -> bool:
    from nacl.exceptions import CryptoError
    from nacl.signing import VerifyKey

    if not good_key(key) or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(key).verify(transcript, signature)
    except CryptoError:
        return False
    return True
