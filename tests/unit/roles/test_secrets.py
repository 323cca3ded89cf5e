"""The secrets bundle: ours has the form of the official library's, and the official one is read whole."""

import base64
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import FleetError, OperatorError
from roles import authorities, pki, secrets
from roles.secrets import Accepted, SecretsBundle
from roles.yaml_text import dump
from tests.contract.talos import matrix

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def fresh(bundle: SecretsBundle) -> SecretsBundle:
    return secrets.create(
        now=NOW, random_bytes=os.urandom, service_account_key=bundle.k8s_service_account_key
    )


def traits(pem: str) -> dict[str, Any]:
    """All that two certificates of one kind have in common."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    extensions = {extension.oid.dotted_string: extension for extension in certificate.extensions}
    identifiers = {x509.SubjectKeyIdentifier.oid.dotted_string, x509.AuthorityKeyIdentifier.oid.dotted_string}
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "signature": certificate.signature_algorithm_oid.dotted_string,
        "key": type(certificate.public_key()).__name__,
        "days": (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days,
        "extensions": {
            oid: (extension.critical, None if oid in identifiers else extension.value)
            for oid, extension in extensions.items()
        },
    }


@pytest.mark.parametrize("name", ["os", "etcd", "k8s", "k8s_aggregator"])
def test_authorities_are_as_the_official_library_makes_them(
    fresh: SecretsBundle, bundle: SecretsBundle, name: str
) -> None:
    ours, official = getattr(fresh, name), getattr(bundle, name)
    assert traits(ours.crt) == traits(official.crt)
    assert ours.key.splitlines()[0] == official.key.splitlines()[0]
    assert pki.matches(ours, name)


def test_algorithms_and_subjects(fresh: SecretsBundle) -> None:
    kinds = {
        name: (
            type(pki.load_certificate(getattr(fresh, name).crt).public_key()),
            pki.load_certificate(getattr(fresh, name).crt).subject.rfc4514_string(),
        )
        for name in ("os", "etcd", "k8s", "k8s_aggregator")
    }
    curve = type(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert kinds["os"] == (type(ed25519.Ed25519PrivateKey.generate().public_key()), "O=talos")
    assert kinds["etcd"] == (curve, "O=etcd")
    assert kinds["k8s"] == (curve, "O=kubernetes")
    assert kinds["k8s_aggregator"] == (curve, "")
    assert fresh.os.key.startswith("-----BEGIN ED25519 PRIVATE KEY-----")


def test_form_of_the_small_secrets(fresh: SecretsBundle) -> None:
    for token in (fresh.bootstrap_token, fresh.trustd_token):
        assert re.fullmatch(r"[0-9a-z]{6}\.[0-9a-z]{16}", token)
    for value in (fresh.cluster_secret, fresh.secretbox_secret):
        assert len(base64.b64decode(value, validate=True)) == 32
    assert len(base64.urlsafe_b64decode(fresh.cluster_id)) == 32


def test_what_was_written_is_read(fresh: SecretsBundle) -> None:
    assert secrets.from_yaml(secrets.to_yaml(fresh)) == fresh


def test_the_official_file_survives_a_round_trip(bundle: SecretsBundle, role_fixtures: Path) -> None:
    assert yaml.safe_load(secrets.to_yaml(bundle)) == yaml.safe_load(
        (role_fixtures / "bundle.yaml").read_text()
    )


def test_further_authorities_survive_a_round_trip(bundle: SecretsBundle) -> None:
    made = authorities.with_accepted(
        bundle, Accepted(os=(bundle.etcd.crt,), k8s=(bundle.os.crt, bundle.etcd.crt))
    )
    text = secrets.to_yaml(made)
    assert set(yaml.safe_load(text)["acceptedcas"]) == {"os", "k8s"}
    assert secrets.from_yaml(text) == made
    assert secrets.from_yaml(text, check=False) == made
    assert "acceptedcas" not in secrets.to_yaml(bundle)
    assert authorities.same_but_accepted(made, bundle)
    assert made != bundle


def test_what_issues_is_not_accepted_twice(bundle: SecretsBundle) -> None:
    twice = Accepted(os=(bundle.os.crt, bundle.etcd.crt, bundle.etcd.crt), k8s=(bundle.k8s.crt,))
    assert authorities.with_accepted(bundle, twice).accepted == Accepted(os=(pki.normal(bundle.etcd.crt),))


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("abc", "acceptedcas.os is not a list of texts"),
        ([1], "acceptedcas.os is not a list of texts"),
        (["%"], "acceptedcas.os is not base64 of PEM text"),
        (["YWJj"], "not a certificate"),
    ],
)
def test_further_authorities_are_checked(bundle: SecretsBundle, value: object, what: str) -> None:
    data = yaml.safe_load(secrets.to_yaml(bundle)) | {"acceptedcas": {"os": value}}
    with pytest.raises(OperatorError, match=what) as caught:
        secrets.from_yaml(dump(data), "f.yaml")
    assert "f.yaml" in str(caught.value.where)


@pytest.mark.parametrize("minor", ["1.8", "1.13", "1.14"])
@pytest.mark.parametrize("role", ["controlplane", "worker"])
def test_what_a_configuration_accepts_is_read_from_it(minor: str, role: str) -> None:
    rotating = matrix.rotating()
    found = authorities.accepted_in(matrix.render(minor, role, of=rotating))
    assert authorities.with_accepted(matrix.bundle(), found).accepted == (
        rotating.accepted
        if (minor, role) == ("1.14", "controlplane")
        else replace(rotating.accepted, k8s_aggregator=())
    )
    assert authorities.with_accepted(
        matrix.bundle(), authorities.accepted_in(matrix.render(minor, role))
    ) == (matrix.bundle())


def test_a_configuration_that_is_none_is_told_without_a_quote() -> None:
    for text in ("secret: [", "machine: {acceptedCAs: [{crt: secret}]}"):
        with pytest.raises(OperatorError) as caught:
            authorities.accepted_in(text, "node n")
        assert "secret" not in str(caught.value)
    assert authorities.accepted_in("") == Accepted()


def test_an_old_cluster_has_aescbc_instead(role_fixtures: Path) -> None:
    data = yaml.safe_load((role_fixtures / "bundle.yaml").read_text())
    data["secrets"]["aescbcencryptionsecret"] = data["secrets"].pop("secretboxencryptionsecret")
    old = secrets.from_yaml(yaml.safe_dump(data))
    assert (old.secretbox_secret, bool(old.aescbc_secret)) == ("", True)
    assert yaml.safe_load(secrets.to_yaml(old)) == data


def test_nothing_secret_in_repr(fresh: SecretsBundle) -> None:
    shown = repr(fresh)
    assert "PRIVATE" not in shown
    for value in (fresh.cluster_secret, fresh.bootstrap_token, fresh.trustd_token, fresh.secretbox_secret):
        assert value not in shown


def test_random_bytes_come_from_the_caller(bundle: SecretsBundle) -> None:
    made = secrets.create(
        now=NOW, random_bytes=lambda n: bytes(range(n)), service_account_key=bundle.k8s_service_account_key
    )
    assert made.bootstrap_token == "012345.6789abcdefghijkl"


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("cluster.secret", "c2hvcnQ=", "cluster.secret is not base64 of 32 bytes"),
        ("cluster.secret", "***", "cluster.secret is not base64 of 32 bytes"),
        ("cluster.id", None, "cluster.id is missing"),
        ("secrets.bootstraptoken", "ABC", "secrets.bootstraptoken is not of the form"),
        ("secrets.secretboxencryptionsecret", None, "secretboxencryptionsecret is missing"),
        ("trustdinfo", "text", "trustdinfo.token is missing"),
        ("certs.os.crt", "bm90IGEgY2VydA==", "certs.os: not a certificate"),
        ("certs.os.key", "bm90IGEga2V5", "certs.os: not a private key"),
        ("certs.os.key", "%%%", "certs.os.key is not base64"),
        ("certs.etcd", "SWAP", "certs.etcd has a key that does not belong"),
        ("certs.k8sserviceaccount.key", 7, "certs.k8sserviceaccount.key is missing or no text"),
    ],
)
def test_a_bad_file_is_refused_by_path(role_fixtures: Path, path: str, value: object, what: str) -> None:
    data = yaml.safe_load((role_fixtures / "bundle.yaml").read_text())
    *parents, last = path.split(".")
    place = data
    for key in parents:
        place = place[key]
    if value == "SWAP":
        place[last]["key"] = data["certs"]["k8s"]["key"]
    else:
        place[last] = value
    with pytest.raises(OperatorError, match=re.escape(what)) as caught:
        secrets.from_yaml(yaml.safe_dump(data), "my.yaml")
    assert str(caught.value).startswith("my.yaml")
    assert "→" in str(caught.value)


@given(
    st.text(max_size=200)
    | st.sampled_from(["[]", "a: [", "cluster: {id: 1}", "? {}", "!!python/object:os.x {}"])
)
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(FleetError):
        secrets.from_yaml(text)


def test_validity_starts_now(fresh: SecretsBundle) -> None:
    certificate = pki.load_certificate(fresh.os.crt)
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc - NOW == timedelta(days=3650)
    assert secrets.expiries(fresh) == dict.fromkeys(
        ("os", "etcd", "k8s", "k8saggregator"), NOW + timedelta(days=3650)
    )
