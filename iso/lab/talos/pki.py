"""Certificates and TLS contexts of the lab's Talos and Kubernetes: made in memory, Ed25519 and P-256, fast.

Signs with the CA keys that a machine configuration carries, as apid, trustd and the kubeconfig API do.
"""

import base64
import datetime as dt
import hashlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iso.lab.talos.config import MachineConfig

_SKEW = dt.timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM (standard headers)."""

    crt: str
    key: str


def standard_key(pem: str) -> str:
    """Talos' header for Ed25519 keys is unknown to OpenSSL; the content is plain PKCS#8."""
    return pem.replace(" ED25519 PRIVATE KEY", " PRIVATE KEY")


def fingerprint(crt: str) -> str:
    """Of the public key, as maintenance mode prints it on the console."""
    certificate = x509.load_pem_x509_certificate(crt.encode())
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def issue(
    ca: Pair,
    *,
    now: dt.datetime,
    common_name: str = "",
    organizations: Iterable[str] = (),
    sans: Iterable[str] = (),
    client: bool = False,
    days: int = 1,
) -> Pair:
    """A leaf whose key is of the CA's kind."""
    issuer = x509.load_pem_x509_certificate(ca.crt.encode())
    ca_key: Any = serialization.load_pem_private_key(standard_key(ca.key).encode(), password=None)
    key: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if isinstance(ca_key, ec.EllipticCurvePrivateKey)
        else ed25519.Ed25519PrivateKey.generate()
    )
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    names += [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = _builder(x509.Name(names), issuer.subject, key.public_key(), now, days)
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = _with_issuer(_with_sans(builder, sans), issuer)
    return _signed(builder, key, ca_key)


def self_signed(now: dt.datetime, sans: Iterable[str]) -> Pair:
    """The certificate of maintenance mode: Ed25519, made anew at each boot."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "talos")])
    builder = _with_sans(_builder(name, name, key.public_key(), now, 1), sans)
    return _signed(builder, key, key)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: Any, now: dt.datetime, days: int) -> Any:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _with_sans(builder: Any, sans: Iterable[str]) -> Any:
    names: list[x509.GeneralName] = []
    for san in dict.fromkeys(one for one in sans if one):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(san)))
        except ValueError:
            names.append(x509.DNSName(san))
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False) if names else builder


def _with_issuer(builder: Any, issuer: x509.Certificate) -> Any:
    """As Go's library does: two authorities of one name are told apart by it during a rotation."""
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return builder
    link = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    return builder.add_extension(link, critical=False)


def _signed(builder: Any, key: Any, ca_key: Any) -> Pair:
    algorithm = hashes.SHA256() if isinstance(ca_key, ec.EllipticCurvePrivateKey) else None
    certificate = builder.sign(ca_key, algorithm)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), pem.decode())


def server_context(
    pair: Pair, *, client_ca: str = "", required: bool = True, alpn: str = ""
) -> ssl.SSLContext:
    """With `client_ca`, a client certificate is asked for (and must come, if `required`)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols([alpn])
    if client_ca:
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    with _as_path((pair.crt + standard_key(pair.key)).encode()) as path:
        context.load_cert_chain(path)
    return context


def renew(context: ssl.SSLContext, pair: Pair) -> None:
    """Connections that begin from now on get this certificate."""
    with _as_path((pair.crt + standard_key(pair.key)).encode()) as path:
        context.load_cert_chain(path)


@contextmanager
def _as_path(data: bytes) -> Iterator[str]:
    """`ssl` loads keys from paths only; the file is gone before the context is used."""
    with tempfile.NamedTemporaryFile(prefix="lab-talos-", delete=False) as file:  # 0600
        file.write(data)
    try:
        yield file.name
    finally:
        Path(file.name).unlink()


def only_client_auth(der: bytes) -> bool:
    """Is the certificate's extended key usage exactly clientAuth? Talos accepts no other."""
    try:
        usage = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (ValueError, x509.ExtensionNotFound):
        return False
    return list(usage.value) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def organizations(peer_certificate: Any) -> frozenset[str]:
    """Subject O values of `getpeercert()`: Talos roles, Kubernetes groups."""
    subject = (peer_certificate or {}).get("subject", ())
    return frozenset(value for names in subject for key, value in names if key == "organizationName")


def random_id(size: int = 8) -> int:
    return int.from_bytes(os.urandom(size), "big")


def kubeconfig(config: MachineConfig, admin: Pair) -> bytes:
    """The admin's, as `pkg/kubeconfig` of Talos lays it out."""
    name, user = config.cluster_name, f"admin@{config.cluster_name}"
    cluster = {"server": config.endpoint, "certificate-authority-data": _b64(config.kube_authorities)}
    credentials = {"client-certificate-data": _b64(admin.crt), "client-key-data": _b64(admin.key)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": user, "context": {"cluster": name, "namespace": "default", "user": user}}],
        "current-context": user,
    }
    return yaml.safe_dump(document).encode()


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
