"""Certificates and files that give access, made offline; the Talos ones compared with the official library's."""

import base64
import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from inventory.errors import RefusedError
from roles import access, authorities, pki
from roles.secrets import Accepted, SecretsBundle

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plain(text: str) -> str:
    return base64.b64decode(text).decode()


def shape(pem: str) -> dict[str, object]:
    certificate = pki.load_certificate(pem)
    skip = (x509.AuthorityKeyIdentifier,)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "signature": certificate.signature_algorithm_oid.dotted_string,
        "extensions": {
            e.oid.dotted_string: (e.critical, e.value)
            for e in certificate.extensions
            if not isinstance(e.value, skip)
        },
    }


def signed_by(pem: str, ca: str) -> None:
    pki.load_certificate(pem).verify_directly_issued_by(pki.load_certificate(ca))


def test_a_job_s_identity_lives_an_hour(bundle: SecretsBundle) -> None:
    made = access.mint_identity(bundle, now=NOW, random_bytes=os.urandom)
    certificate = pki.load_certificate(made.crt)
    signed_by(made.crt, bundle.os.crt)
    assert made.ca == bundle.os.crt
    assert certificate.subject.rfc4514_string() == "O=os:admin"
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(hours=1)
    assert made.key.startswith("-----BEGIN ED25519 PRIVATE KEY-----")
    assert "PRIVATE" not in repr(made)


def test_apid_wants_client_auth_and_nothing_else(bundle: SecretsBundle) -> None:
    made = access.mint_identity(bundle, ("os:reader", "os:etcd:backup"), now=NOW, random_bytes=os.urandom)
    certificate = pki.load_certificate(made.crt)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert [name.value for name in certificate.subject] == ["os:reader", "os:etcd:backup"]
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.BasicConstraints)


def test_openssl_takes_the_identity(bundle: SecretsBundle, tmp_path: Path) -> None:
    made = access.mint_identity(bundle, now=NOW, random_bytes=os.urandom)
    file = tmp_path / "identity.pem"
    file.write_text(made.crt + made.key.replace("ED25519 PRIVATE", "PRIVATE"))
    context = ssl.create_default_context(cadata=made.ca)
    context.load_cert_chain(file)  # raises if key and certificate do not belong together


@pytest.mark.parametrize("minutes", [5, 61, 120])
def test_longer_than_an_hour_is_refused(bundle: SecretsBundle, minutes: int) -> None:
    with pytest.raises(RefusedError, match="an hour at most"):
        access.mint_identity(bundle, now=NOW, random_bytes=os.urandom, lifetime=timedelta(minutes=minutes))


def test_in_a_rotation_both_authorities_are_trusted(bundle: SecretsBundle) -> None:
    """By us, by talosctl and by kubectl; what we show is signed by the one that issues."""
    both = authorities.with_accepted(bundle, Accepted(os=(bundle.etcd.crt,), k8s=(bundle.os.crt,)))
    made = access.mint_identity(both, now=NOW, random_bytes=os.urandom)
    signed_by(made.crt, bundle.os.crt)
    assert made.ca == bundle.os.crt + bundle.etcd.crt
    ssl.create_default_context(cadata=made.ca)
    text = access.talosconfig(both, "kn", ["10.0.0.5"], now=NOW, random_bytes=os.urandom)
    assert decoded(yaml.safe_load(text)["contexts"]["kn"]["ca"]) == bundle.os.crt + bundle.etcd.crt
    text = access.kubeconfig(both, "kn", "https://10.0.0.5:6443", now=NOW, random_bytes=os.urandom)
    cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
    assert decoded(cluster["certificate-authority-data"]) == bundle.k8s.crt + bundle.os.crt


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


@pytest.mark.parametrize("roles", [(), ("os:root",)])
def test_unknown_roles_are_refused(bundle: SecretsBundle, roles: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="unknown Talos API roles"):
        access.mint_identity(bundle, roles, now=NOW, random_bytes=os.urandom)


def test_talosconfig_is_as_the_official_one(bundle: SecretsBundle, role_fixtures: Path) -> None:
    text = access.talosconfig(bundle, "kn", ["10.0.0.5"], now=NOW, random_bytes=os.urandom)
    ours, official = (
        yaml.safe_load(text),
        yaml.safe_load((role_fixtures / "official-talosconfig.yaml").read_text()),
    )
    assert ours["context"] == official["context"] == "kn"
    mine, theirs = ours["contexts"]["kn"], official["contexts"]["kn"]
    assert mine["endpoints"] == ["10.0.0.5"]
    assert mine["ca"] == theirs["ca"]
    assert shape(plain(mine["crt"])) == shape(plain(theirs["crt"]))
    assert plain(mine["key"]).splitlines()[0] == plain(theirs["key"]).splitlines()[0]


def test_talosconfig_names_nodes_if_asked(bundle: SecretsBundle) -> None:
    text = access.talosconfig(bundle, "kn", ["10.0.0.5"], ["10.0.0.6"], now=NOW, random_bytes=os.urandom)
    assert yaml.safe_load(text)["contexts"]["kn"]["nodes"] == ["10.0.0.6"]


def test_kubeconfig(bundle: SecretsBundle) -> None:
    text = access.kubeconfig(bundle, "kn", "https://10.0.0.5:6443", now=NOW, random_bytes=os.urandom)
    config = yaml.safe_load(text)
    assert config["current-context"] == "admin@kn"
    assert config["contexts"] == [
        {"name": "admin@kn", "context": {"cluster": "kn", "namespace": "default", "user": "admin@kn"}}
    ]
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    assert cluster["server"] == "https://10.0.0.5:6443"
    assert plain(cluster["certificate-authority-data"]) == bundle.k8s.crt
    certificate = pki.load_certificate(plain(user["client-certificate-data"]))
    signed_by(plain(user["client-certificate-data"]), bundle.k8s.crt)
    assert certificate.subject.rfc4514_string() == "CN=admin,O=system:masters"
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (True, True, False)
    key = plain(user["client-key-data"])
    assert key.startswith("-----BEGIN EC PRIVATE KEY-----")
    assert load_pem_private_key(key.encode(), None).public_key() == certificate.public_key()


def test_an_adopted_cluster_with_an_ecdsa_authority(bundle: SecretsBundle) -> None:
    """Its clients' keys are of the CA's kind; a CA without a key identifier works too."""
    adopted = replace(bundle, os=bundle.k8s)
    made = access.mint_identity(adopted, now=NOW, random_bytes=os.urandom)
    assert made.key.startswith("-----BEGIN EC PRIVATE KEY-----")
    signed_by(made.crt, bundle.k8s.crt)
