"""The certificate that the pages are served with: one of our own making, or the files that were given.

Our own is self-signed, so its fingerprint is what people compare. It is kept, and made again when the names
change or its end is near. Trusts nothing and serves nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.store.home import write_private
from inventory.errors import OperatorError

LIFE, RENEW_BEFORE = timedelta(days=397), timedelta(days=30)  # browsers take none that lives longer
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    crt: Path
    key: Path
    fingerprint: str  # SHA-256, as browsers show it
    own: bool


def ensure_certificate(folder: Path, names: Sequence[str], now: datetime) -> Certificate:
    """The one in `folder`, if it is good for these names and long enough; a new one otherwise."""
    crt, key = folder / "crt.pem", folder / "key.pem"
    if not (crt.exists() and key.exists() and _fits(_read(crt), names, now)):
        pem, secret = _make(names, now)
        write_private(key, secret)
        write_private(crt, pem)
    return Certificate(crt, key, fingerprint(_read(crt)), own=True)


def given_certificate(crt: Path, key: Path) -> Certificate:
    """Files of the operator's. Raises OperatorError if they are not a certificate and its key."""
    found = _read(crt)
    try:
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise OperatorError(
            "this is no private key without a passphrase", where=str(key), fix="name a PEM file with --key"
        ) from error
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = serialization.Encoding.DER
    if secret.public_key().public_bytes(der, form) != found.public_key().public_bytes(der, form):
        raise OperatorError("this key belongs to another certificate", where=str(key), fix="name its own key")
    return Certificate(crt, key, fingerprint(found), own=False)


def fingerprint(certificate: x509.Certificate) -> str:
    digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError("this is no certificate", where=str(path), fix="name a PEM file") from error


def _fits(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        set(held) == {_general(name) for name in names}
        and certificate.not_valid_after_utc - now > RENEW_BEFORE
        and certificate.not_valid_before_utc <= now
    )


def _make(names: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cto controller")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFE - _SKEW)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
