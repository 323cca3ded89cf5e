"""The secrets of one cluster, in the bundle format of `talosctl gen secrets`. Seals and stores nothing.

The bundle is everything that makes a cluster itself: whoever has it is its administrator, and a cluster that
exists can be adopted from it alone. Its parts never appear in `repr`. Made once per cluster.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml

from inventory.errors import OperatorError
from roles.pki import (
    KeyPair,
    RandomBytes,
    load_certificate,
    load_key,
    matches,
    new_ca,
    new_ecdsa_key,
    new_ed25519_key,
    new_service_account_key,
    normal,
)
from roles.yaml_text import dump

_TOKEN = re.compile(r"[0-9a-z]{6}\.[0-9a-z]{16}")
_ACCEPTED = {
    "os": "acceptedcas.os",
    "k8s": "acceptedcas.k8s",
    "k8s_aggregator": "acceptedcas.k8saggregator",
}
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Certificates (PEM) of authorities that are trusted and issue nothing: before or after a rotation.

    `settled`: somebody said that these are all, so what a running node accepts besides is not added.
    """

    os: tuple[str, ...] = ()
    k8s: tuple[str, ...] = ()
    k8s_aggregator: tuple[str, ...] = ()
    settled: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class SecretsBundle:
    """Keys and certificates are PEM text; the rest is as the machine configuration wants it."""

    cluster_id: str
    cluster_secret: str = field(repr=False)
    bootstrap_token: str = field(repr=False)
    trustd_token: str = field(repr=False)
    os: KeyPair
    etcd: KeyPair
    k8s: KeyPair
    k8s_aggregator: KeyPair
    k8s_service_account_key: str = field(repr=False)
    secretbox_secret: str = field(default="", repr=False)
    aescbc_secret: str = field(
        default="", repr=False
    )  # instead of secretbox in clusters born before Talos 1.3
    accepted: Accepted = Accepted()


def create(*, now: datetime, random_bytes: RandomBytes, service_account_key: str = "") -> SecretsBundle:
    """New secrets for a cluster. `service_account_key` (RSA PEM) spares the seconds that it takes."""
    if service_account_key:
        load_key(service_account_key, "the service account key")
    return SecretsBundle(
        cluster_id=base64.urlsafe_b64encode(random_bytes(32)).decode(),
        cluster_secret=base64.b64encode(random_bytes(32)).decode(),
        bootstrap_token=_token(random_bytes),
        trustd_token=_token(random_bytes),
        os=new_ca(new_ed25519_key(), organization="talos", now=now, random_bytes=random_bytes),
        etcd=new_ca(new_ecdsa_key(), organization="etcd", now=now, random_bytes=random_bytes),
        k8s=new_ca(new_ecdsa_key(), organization="kubernetes", now=now, random_bytes=random_bytes),
        k8s_aggregator=new_ca(new_ecdsa_key(), organization="", now=now, random_bytes=random_bytes),
        k8s_service_account_key=service_account_key or new_service_account_key(),
        secretbox_secret=base64.b64encode(random_bytes(32)).decode(),
    )


def to_yaml(bundle: SecretsBundle) -> str:
    """The bundle file of `talosctl gen secrets`, key for key. In a rotation it has one key more,
    `acceptedcas`, which other tools pass over.
    """
    secrets = {"bootstraptoken": bundle.bootstrap_token}
    if bundle.secretbox_secret:
        secrets["secretboxencryptionsecret"] = bundle.secretbox_secret
    if bundle.aescbc_secret:
        secrets["aescbcencryptionsecret"] = bundle.aescbc_secret
    return dump(
        {
            "cluster": {"id": bundle.cluster_id, "secret": bundle.cluster_secret},
            "secrets": secrets,
            "trustdinfo": {"token": bundle.trustd_token},
            "certs": {
                "etcd": _pair_out(bundle.etcd),
                "k8s": _pair_out(bundle.k8s),
                "k8saggregator": _pair_out(bundle.k8s_aggregator),
                "k8sserviceaccount": {"key": b64(bundle.k8s_service_account_key)},
                "os": _pair_out(bundle.os),
            },
            **_accepted_out(bundle.accepted),
        }
    )


def from_yaml(text: str, where: str = "secrets bundle", *, check: bool = True) -> SecretsBundle:
    """A bundle file, made by us or by any other Talos tool; checked so far as it can be without a node.

    `check=False` is for a text that was checked before it was sealed: proving an RSA key takes 0.2 s.
    """
    try:
        loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OperatorError(
            f"not YAML: {error}", where=where, fix="give a file made by talosctl gen secrets"
        ) from error
    reader = _Reader(loaded, where)
    bundle = SecretsBundle(
        cluster_id=reader.text("cluster.id"),
        cluster_secret=reader.text("cluster.secret"),
        bootstrap_token=reader.text("secrets.bootstraptoken"),
        trustd_token=reader.text("trustdinfo.token"),
        os=reader.pair("certs.os"),
        etcd=reader.pair("certs.etcd"),
        k8s=reader.pair("certs.k8s"),
        k8s_aggregator=reader.pair("certs.k8saggregator"),
        k8s_service_account_key=reader.pem("certs.k8sserviceaccount.key"),
        secretbox_secret=reader.text("secrets.secretboxencryptionsecret", required=False),
        aescbc_secret=reader.text("secrets.aescbcencryptionsecret", required=False),
        accepted=Accepted(
            **{name: reader.certificates(path) for name, path in _ACCEPTED.items()},
            settled=reader.at("acceptedcas.settled") is True,
        ),
    )
    if check:
        _check(bundle, reader)
    return bundle


def expiries(bundle: SecretsBundle) -> Mapping[str, datetime]:
    """Until when each authority is good; what one of them signed ends with it."""
    pairs = {"os": bundle.os, "etcd": bundle.etcd, "k8s": bundle.k8s, "k8saggregator": bundle.k8s_aggregator}
    return {name: load_certificate(pair.crt, name).not_valid_after_utc for name, pair in pairs.items()}


def b64(text: str) -> str:
    """Standard base64 of UTF-8 text: how Talos carries PEM inside YAML."""
    return base64.b64encode(text.encode()).decode()


def _accepted_out(accepted: Accepted) -> dict[str, Any]:
    found = {path.rpartition(".")[2]: getattr(accepted, name) for name, path in _ACCEPTED.items()}
    listed: dict[str, Any] = {key: [b64(pem) for pem in pems] for key, pems in found.items() if pems}
    listed |= {"settled": True} if accepted.settled else {}
    return {"acceptedcas": listed} if listed else {}


def _pair_out(pair: KeyPair) -> dict[str, str]:
    return {"crt": b64(pair.crt), "key": b64(pair.key)}


def _token(random_bytes: RandomBytes) -> str:
    chars: list[str] = []
    while len(chars) < 22:  # 252 is a multiple of 36: bytes above it would favor the first letters
        chars += [_ALPHABET[byte % 36] for byte in random_bytes(32) if byte < 252]
    return f"{''.join(chars[:6])}.{''.join(chars[6:22])}"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Looks values up by dotted path; says which one is missing or wrong, never what it holds."""

    data: Any
    where: str

    def at(self, path: str) -> Any:
        value = self.data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def text(self, path: str, *, required: bool = True) -> str:
        value = self.at(path)
        if isinstance(value, str) and value:
            return value
        if value is None and not required:
            return ""
        raise self.wrong(path, "is missing or no text")

    def pem(self, path: str) -> str:
        return self.decoded(path, self.text(path))

    def decoded(self, path: str, value: str) -> str:
        try:
            return base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise self.wrong(path, "is not base64 of PEM text") from error

    def certificates(self, path: str) -> tuple[str, ...]:
        """A list that need not be there."""
        listed = self.at(path) or []
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise self.wrong(path, "is not a list of texts")
        pems = dict.fromkeys(self.decoded(path, item) for item in listed)
        return tuple(normal(pem, f"{self.where}: {path}") for pem in pems)

    def pair(self, path: str) -> KeyPair:
        pair = KeyPair(self.pem(f"{path}.crt"), self.pem(f"{path}.key"))
        if not matches(pair, f"{self.where}: {path}"):
            raise self.wrong(path, "has a key that does not belong to its certificate")
        return pair

    def wrong(self, path: str, what: str) -> OperatorError:
        fix = "give the complete file that talosctl gen secrets or cto secrets export made"
        return OperatorError(f"{path} {what}", where=self.where, fix=fix)


def _check(bundle: SecretsBundle, reader: _Reader) -> None:
    for path, token in (
        ("secrets.bootstraptoken", bundle.bootstrap_token),
        ("trustdinfo.token", bundle.trustd_token),
    ):
        if not _TOKEN.fullmatch(token):
            raise reader.wrong(path, "is not of the form abcdef.0123456789abcdef")
    keys = {
        "cluster.secret": bundle.cluster_secret,
        "secrets.secretboxencryptionsecret": bundle.secretbox_secret,
    }
    for path, value in keys.items():
        try:
            good = len(base64.b64decode(value, validate=True)) == 32
        except binascii.Error:
            good = False
        if value and not good:
            raise reader.wrong(path, "is not base64 of 32 bytes")
    if not bundle.secretbox_secret and not bundle.aescbc_secret:
        raise reader.wrong("secrets.secretboxencryptionsecret", "is missing")
    load_key(bundle.k8s_service_account_key, f"{reader.where}: certs.k8sserviceaccount.key")
