"""Keys and certificates in the forms Talos uses (siderolabs/crypto x509). Signs; stores nothing.

Talos writes Ed25519 keys as PKCS #8 under the header "ED25519 PRIVATE KEY", which OpenSSL does not know;
`load_key` and `dump_key` translate. Private keys come from the cryptography library's own generator;
serials and key identifiers from the caller's `random_bytes`. What each certificate is for is decided in
`roles.secrets` and `roles.access`, not here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from inventory.errors import OperatorError

RandomBytes = Callable[[int], bytes]
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

CA_LIFETIME = timedelta(hours=87600)

_TALOS_HEADER, _PKCS8_HEADER = "ED25519 PRIVATE KEY", "PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, PEM."""

    crt: str
    key: str = field(repr=False)


def load_key(pem: str, where: str = "") -> PrivateKey:
    """A private key from PEM, with Talos's or with the standard header."""
    standard = pem.replace(f" {_TALOS_HEADER}-", f" {_PKCS8_HEADER}-")
    try:
        key = serialization.load_pem_private_key(standard.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OperatorError(
            f"not a private key: {error}", where=where, fix="give an unencrypted PEM key"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise OperatorError("a key of an unsupported kind", where=where, fix="use Ed25519, ECDSA or RSA")
    return key


def load_certificate(pem: str, where: str = "") -> x509.Certificate:
    """A certificate from PEM."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise OperatorError(
            f"not a certificate: {error}", where=where, fix="give a PEM certificate"
        ) from error


def normal(pem: str, where: str = "") -> str:
    """A certificate in one way of writing it, so that equal ones are equal texts."""
    found = load_certificate(pem.strip() + "\n", where)
    return found.public_bytes(serialization.Encoding.PEM).decode()


def dump_key(key: PrivateKey) -> str:
    """PEM with the header that Talos gives this kind of key."""
    ed = isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.PKCS8 if ed else serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    return pem.replace(f" {_PKCS8_HEADER}-", f" {_TALOS_HEADER}-") if ed else pem


def new_ed25519_key() -> PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def new_ecdsa_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_service_account_key() -> str:
    """RSA 4096, PKCS #1 PEM. Takes seconds of one core: make it once per cluster."""
    return dump_key(rsa.generate_private_key(65537, 4096))


def new_ca(key: PrivateKey, *, organization: str, now: datetime, random_bytes: RandomBytes) -> KeyPair:
    """A self-signed authority for ten years; an empty `organization` means an empty subject."""
    subject = _name(organizations=(organization,) if organization else ())
    builder = (
        _builder(subject, now, now + CA_LIFETIME, random_bytes)
        .issuer_name(subject)
        .public_key(key.public_key())
        .add_extension(_key_usage(signing_certificates=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(random_bytes(20)), critical=False)
    )
    return _signed(builder, key, key)


def issue_client(
    ca: KeyPair,
    key: PrivateKey,
    *,
    organizations: Iterable[str],
    common_name: str = "",
    not_before: datetime,
    not_after: datetime,
    random_bytes: RandomBytes,
) -> KeyPair:
    """A client certificate. Its only extended key usage is clientAuth: apid refuses any other list."""
    authority = load_certificate(ca.crt, "the CA")
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
    builder = (
        _builder(_name(organizations, common_name), not_before, not_after, random_bytes)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(_key_usage(key_encipherment=is_ec), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    )
    try:
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:  # an adopted CA may have none; chains are found by name then
        return _signed(builder, key, load_key(ca.key, "the CA"))
    link = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    return _signed(builder.add_extension(link, critical=False), key, load_key(ca.key, "the CA"))


def matches(pair: KeyPair, where: str) -> bool:
    """Is this the key of this certificate?"""
    public = load_key(pair.key, where).public_key()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return load_certificate(pair.crt, where).public_key().public_bytes(*form) == public.public_bytes(*form)


def _signed(builder: x509.CertificateBuilder, key: PrivateKey, signer: PrivateKey) -> KeyPair:
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = builder.sign(signer, algorithm)
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM).decode(), dump_key(key))


def _builder(
    subject: x509.Name, not_before: datetime, not_after: datetime, random_bytes: RandomBytes
) -> x509.CertificateBuilder:
    serial = int.from_bytes(random_bytes(16), "big") or 1
    builder = x509.CertificateBuilder().subject_name(subject).serial_number(serial)
    return builder.not_valid_before(not_before).not_valid_after(not_after)


def _name(organizations: Iterable[str] = (), common_name: str = "") -> x509.Name:
    pairs: list[tuple[ObjectIdentifier, str]] = [(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    pairs += [(NameOID.COMMON_NAME, common_name)] * bool(common_name)
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def _key_usage(*, signing_certificates: bool = False, key_encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
