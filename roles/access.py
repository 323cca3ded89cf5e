"""Access to a cluster, made offline from its secrets: API identities, talosconfig, kubeconfig. Asks no node.

Whoever may read the bundle may make these, so nothing here is stored: an identity for a job lives an hour at
most, and the two files for people say until when they are good.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from inventory.errors import RefusedError
from roles.authorities import trusted
from roles.pki import KeyPair, RandomBytes, issue_client, load_key, new_ecdsa_key, new_ed25519_key
from roles.secrets import SecretsBundle, b64
from roles.yaml_text import dump

MAX_JOB_LIFETIME = timedelta(hours=1)
YEAR = timedelta(hours=8760)  # what talosctl gives
_CLOCK_MARGIN = timedelta(
    minutes=5
)  # a node whose clock is a little behind must not see a future certificate
ROLES = frozenset(
    {
        "os:admin",
        "os:operator",
        "os:reader",
        "os:etcd:backup",
        "os:impersonator",
        "os:image:verifier",
        "os:meta:writer",
    }
)


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Mutual TLS for the Talos API, PEM: who may sign the nodes (in a rotation, several), and who we are."""

    ca: str
    crt: str
    key: str = field(repr=False)


def mint_identity(
    bundle: SecretsBundle,
    roles: Sequence[str] = ("os:admin",),
    *,
    now: datetime,
    lifetime: timedelta = MAX_JOB_LIFETIME,
    random_bytes: RandomBytes,
) -> ClientIdentity:
    """An identity for one job; from its first moment, which lies a little back, it lives an hour at most."""
    if not _CLOCK_MARGIN < lifetime <= MAX_JOB_LIFETIME:
        raise RefusedError(
            "an identity for a job lives an hour at most, and more than five minutes",
            fix="mint a new one when it expires",
        )
    pair = _talos_client(bundle, roles, now, lifetime - _CLOCK_MARGIN, random_bytes)
    return ClientIdentity(trusted(bundle.os.crt, bundle.accepted.os), pair.crt, pair.key)


def talosconfig(
    bundle: SecretsBundle,
    context: str,
    endpoints: Sequence[str],
    nodes: Sequence[str] = (),
    *,
    now: datetime,
    random_bytes: RandomBytes,
    lifetime: timedelta = YEAR,
) -> str:
    """The file for `talosctl --talosconfig`."""
    pair = _talos_client(bundle, ("os:admin",), now, lifetime, random_bytes)
    entry: dict[str, object] = {"endpoints": list(endpoints)}
    if nodes:
        entry["nodes"] = list(nodes)
    authorities = trusted(bundle.os.crt, bundle.accepted.os)
    entry |= {"ca": b64(authorities), "crt": b64(pair.crt), "key": b64(pair.key)}
    return dump({"context": context, "contexts": {context: entry}})


def kubeconfig(
    bundle: SecretsBundle,
    cluster: str,
    endpoint: str,
    *,
    now: datetime,
    random_bytes: RandomBytes,
    lifetime: timedelta = YEAR,
) -> str:
    """The file for `kubectl --kubeconfig`; cluster-admin."""
    user = f"admin@{cluster}"
    pair = issue_client(
        bundle.k8s,
        new_ecdsa_key(),
        organizations=("system:masters",),
        common_name="admin",
        not_before=now - _CLOCK_MARGIN,
        not_after=now + lifetime,
        random_bytes=random_bytes,
    )
    authorities = trusted(bundle.k8s.crt, bundle.accepted.k8s)
    server = {"server": endpoint, "certificate-authority-data": b64(authorities)}
    client = {"client-certificate-data": b64(pair.crt), "client-key-data": b64(pair.key)}
    return dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": server}],
            "users": [{"name": user, "user": client}],
            "contexts": [
                {"name": user, "context": {"cluster": cluster, "namespace": "default", "user": user}}
            ],
            "current-context": user,
        }
    )


def _talos_client(
    bundle: SecretsBundle, roles: Sequence[str], now: datetime, lifetime: timedelta, random_bytes: RandomBytes
) -> KeyPair:
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise RefusedError(
            f"unknown Talos API roles: {', '.join(unknown) or 'none given'}", fix=f"use {sorted(ROLES)}"
        )
    # The key follows the CA: an adopted cluster may have an ECDSA one.
    ca_is_ed25519 = "Ed25519" in type(load_key(bundle.os.key)).__name__
    return issue_client(
        bundle.os,
        new_ed25519_key() if ca_is_ed25519 else new_ecdsa_key(),
        organizations=roles,
        not_before=now - _CLOCK_MARGIN,
        not_after=now + lifetime,
        random_bytes=random_bytes,
    )
