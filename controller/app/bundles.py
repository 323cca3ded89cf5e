"""A cluster's secrets as files: made ahead of time, brought in, taken out; and until when they are good.

The format is that of `talosctl gen secrets`. Talks to no node. What is inside is in no message and no event.
"""

import base64
import binascii
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import yaml

from controller.app.services import Services
from controller.store import EngineLock, NodeRow
from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import ClusterState, NodeState
from roles.authorities import same_but_accepted, settled, with_accepted
from roles.pki import load_certificate
from roles.secrets import Accepted, SecretsBundle, create, expiries, from_yaml, to_yaml

# Nothing with the cluster's keys is on such a machine.
_EMPTY = (NodeState.DECLARED, NodeState.PINNED, NodeState.INSPECTED, NodeState.RESET)
_MAX_BYTES = 1 << 20


def secrets_name(cluster: str) -> str:
    return f"cluster/{cluster}/secrets"


def create_bundle(services: Services, cluster: str, *, actor: str) -> SecretsBundle:
    """New secrets for a cluster that has none."""
    if services.store.has_secret(secrets_name(cluster)):
        raise RefusedError(
            "it has secrets already, and they are never made again",
            where=cluster,
            fix=f"use them (cto secrets export {cluster}), or name another cluster",
        )
    bundle = create(now=services.clock.now(), random_bytes=secrets.token_bytes)
    seal(services, cluster, bundle, actor=actor)
    services.store.event("SecretsMade", f"cluster/{cluster}", "secrets made and sealed in the store")
    return bundle


def import_bundle(
    services: Services, cluster: str, text: str, *, where: str, actor: str, replace: bool = False
) -> bool:
    """Seals a bundle that was made elsewhere. False if it is the one that is there.

    `replace` puts it in place of another one, while no machine has that one. One that differs only in the
    authorities that are accepted besides takes its place at any time: the next plan shows what that changes.
    """
    bundle = parse(text, where)
    if same_as_stored(services, cluster, bundle):
        note(services, cluster, bundle)
        return False
    with EngineLock.acquire(services.home):  # no node may get the old secrets meanwhile
        exists = services.store.has_secret(secrets_name(cluster))
        accepts = exists and same_but_accepted(bundle, stored(services, cluster))
        if exists and not accepts:
            _may_replace(services, cluster, asked=replace)
        bundle = settled(bundle) if accepts else bundle
        seal(services, cluster, bundle, actor=actor, once=not exists)
        how = "replaced by imported ones" if exists else "imported and sealed in the store"
        how = "accepted authorities replaced by imported ones" if accepts else how
        services.store.event("SecretsImported", f"cluster/{cluster}", f"secrets {how}")
    return True


def export_bundle(services: Services, cluster: str, *, actor: str) -> str:
    """The bundle as text; told and audited. Whoever has it owns the cluster."""
    if not services.store.has_secret(secrets_name(cluster)):
        raise OperatorError(
            "it has no secrets",
            where=cluster,
            fix="cto secrets create or import gives it some; so does cto plan",
        )
    return services.store.export_secret(secrets_name(cluster), actor=actor).decode()


def parse(text: str, where: str) -> SecretsBundle:
    if len(text) > _MAX_BYTES:
        raise OperatorError("too long for a secrets bundle", where=where, fix="name the right file")
    return from_yaml(text, where)


def same_as_stored(services: Services, cluster: str, bundle: SecretsBundle) -> bool:
    """Whether the store has exactly this bundle, however its text is laid out."""
    return services.store.has_secret(secrets_name(cluster)) and stored(services, cluster) == bundle


def stored(services: Services, cluster: str) -> SecretsBundle:
    """As the store has it now."""
    name = secrets_name(cluster)
    return from_yaml(services.store.get_secret(name).decode(), name, check=False)


def keep_accepted(services: Services, cluster: str, more: Accepted, *, actor: str) -> SecretsBundle:
    """The cluster's bundle with these authorities among those it accepts; sealed anew if one is new."""
    have = stored(services, cluster)
    bundle = with_accepted(have, more)
    if bundle != have:
        seal(services, cluster, bundle, actor=actor, once=False)
        services.store.event(
            "SecretsImported", f"cluster/{cluster}", "it accepts further authorities; they are kept"
        )
    return bundle


def seal(services: Services, cluster: str, bundle: SecretsBundle, *, actor: str, once: bool = True) -> None:
    services.store.put_secret(secrets_name(cluster), to_yaml(bundle).encode(), actor=actor, once=once)
    services.bundles[cluster] = bundle
    note(services, cluster, bundle)


def note(services: Services, cluster: str, bundle: SecretsBundle) -> None:
    """The dates at which its authorities end, in clear: `cto status` has to see them without the key."""
    services.store.note_expiries(cluster, {f"CA {name}": until for name, until in expiries(bundle).items()})


def client_end(text: bytes) -> datetime | None:
    """When the client certificate in a kubeconfig or talosconfig ends; None if there is none to be read."""
    try:
        loaded = yaml.safe_load(text)
        return min(
            load_certificate(base64.b64decode(pem, validate=True).decode("ascii")).not_valid_after_utc
            for pem in _client_certificates(loaded)
        )
    except (yaml.YAMLError, binascii.Error, ValueError, OperatorError, RecursionError):
        return None


def _client_certificates(loaded: Any) -> Iterator[str]:
    if not isinstance(loaded, Mapping):
        return
    users = loaded.get("users")
    for user in users if isinstance(users, list) else ():
        found = user.get("user", {}).get("client-certificate-data") if isinstance(user, Mapping) else None
        if isinstance(found, str):
            yield found
    contexts = loaded.get("contexts")
    for context in contexts.values() if isinstance(contexts, Mapping) else ():
        if isinstance(context, Mapping) and isinstance(context.get("crt"), str):
            yield context["crt"]


def _may_replace(services: Services, cluster: str, *, asked: bool) -> None:
    row = services.store.cluster(cluster)
    used = [n.name for n in services.store.nodes(cluster=cluster) if _has_keys(n)]
    if used or (row is not None and row.state is not ClusterState.PLANNED):
        raise RefusedError(
            "it runs with other secrets, or is being installed with them: they can't be exchanged",
            where=cluster,
            fix=f"reset its nodes first ({', '.join(used) or 'all'}: cto node reset), or name another one",
        )
    if not asked:
        raise RefusedError(
            "it has other secrets, which no machine has yet",
            where=cluster,
            fix="if these are to take their place, run it again with --replace",
        )


def _has_keys(row: NodeRow) -> bool:
    return row.state not in _EMPTY
