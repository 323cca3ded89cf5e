"""The controller's own TLS key for enrolment, made once and sealed in the store. Its SPKI goes into images.

Another key would be another controller to every machine that was given this one's pin.
"""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from controller.app.enrollment.ports import Identity
from controller.app.services import Services
from inventory.errors import RefusedError

_NAME = "enrollment/tls"
_SINCE = datetime(2020, 1, 1, tzinfo=UTC)  # machines without a clock battery live in the past
_LIFE = timedelta(days=365 * 60)  # nobody looks at the date: the key is what is pinned


def identity(services: Services) -> Identity:
    """Made at first use."""
    store = services.store
    if not store.has_secret(_NAME):
        with suppress(RefusedError):  # another process was quicker, and its key is the one
            store.put_secret(_NAME, _make(store.controller_id()), once=True)
    return _read(bytes(store.get_secret(_NAME)))


def pin(services: Services) -> str:
    """SHA-256 of the SPKI, 64 hex digits: what a machine is given with its token."""
    return identity(services).pin.hex()


def _make(controller_id: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"cto-{controller_id}")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_SINCE)
        .not_valid_after(_SINCE + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM) + private


def _read(both: bytes) -> Identity:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    mark = both.index(b"-----BEGIN PRIVATE KEY-----")
    certificate, key = both[:mark], both[mark:]
    public = x509.load_pem_x509_certificate(certificate).public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Identity(certificate, key, hashlib.sha256(spki).digest())
