"""Kubeconfig and talosconfig of a cluster as 0600 files in the home. Step `fetch-access` does the fetching.

The kubeconfig is kept, sealed, and renewed. A talosconfig is not: it is an administrator of every node, Talos
can't revoke one, and from the bundle a new one is made offline at any time, for as long as it is needed.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.app.bundles import client_end, secrets_name
from controller.app.desired import bundle_of
from controller.app.services import Services
from controller.store.home import write_private
from inventory.errors import OperatorError
from inventory.fleet import Fleet
from roles.access import kubeconfig, talosconfig
from roles.secrets import SecretsBundle

RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Reach:
    """What access files are made from without asking a node. `said_by`: who says the addresses."""

    cluster: str
    endpoint: str
    control_planes: tuple[str, ...]
    nodes: tuple[str, ...]
    bundle: SecretsBundle
    said_by: str

    def kubeconfig(self, *, now: datetime, lifetime: timedelta) -> str:
        """For `kubectl`; cluster-admin for `lifetime`."""
        if not self.endpoint:
            raise OperatorError(
                f"{self.said_by} says no endpoint of it",
                where=self.cluster,
                fix="write the cluster's endpoint",
            )
        return kubeconfig(
            self.bundle,
            self.cluster,
            self.endpoint,
            now=now,
            random_bytes=secrets.token_bytes,
            lifetime=lifetime,
        )

    def talosconfig(self, *, now: datetime, lifetime: timedelta) -> str:
        """For `talosctl`, with a certificate that is valid for `lifetime`."""
        if not self.control_planes:
            raise OperatorError(
                f"{self.said_by} says no address of its control planes",
                where=self.cluster,
                fix="write their address, or talosAddress, in the site file",
            )
        return talosconfig(
            self.bundle,
            self.cluster,
            self.control_planes,
            self.nodes,
            now=now,
            random_bytes=secrets.token_bytes,
            lifetime=lifetime,
        )


def reach(
    services: Services, name: str, *, fleet: Fleet | None = None, bundle: SecretsBundle | None = None
) -> Reach:
    """By the site files, if given, else by the store; with the store's secrets, unless others are given."""
    row = services.store.cluster(name)
    if fleet is None and row is None:
        known = ", ".join(each.name for each in services.store.clusters()[:10]) or "none yet"
        raise OperatorError(
            f"no cluster {name!r} is known here", fix=f"known: {known}; or name its site file: -f FILE"
        )
    if bundle is None and not services.store.has_secret(secrets_name(name)):
        raise OperatorError(
            "it has no secrets yet",
            where=name,
            fix="cto apply makes them; or give those of a running cluster: --secrets FILE",
        )
    secret = bundle or bundle_of(services, name)
    if fleet is not None:
        return _declared(fleet, name, secret)
    rows = services.store.nodes(cluster=name)
    where = {each.name: str(each.record.get("talos_address", "")) or each.address for each in rows}
    planes = tuple(where[each.name] for each in rows if each.role != "worker")
    endpoint = row.endpoint if row else ""
    return Reach(name, endpoint, planes, tuple(where.values()), secret, "what is known here")


def _declared(fleet: Fleet, name: str, bundle: SecretsBundle) -> Reach:
    if name not in fleet.clusters:
        listed = ", ".join(fleet.clusters) or "none"
        raise OperatorError(f"the site files have no cluster {name!r}", fix=f"they have: {listed}")
    nodes = [node for node in fleet.nodes_of(name) if node.talos_address or node.address]
    planes = tuple(node.talos_address or node.address for node in nodes if node.role != "worker")
    everyone = tuple(node.talos_address or node.address for node in nodes)
    return Reach(name, fleet.clusters[name].endpoint, planes, everyone, bundle, "the site file")


def keep_access(services: Services, cluster: str, kube: bytes) -> None:
    """Seals the kubeconfig, notes when it ends and writes its file."""
    services.store.put_secret(f"cluster/{cluster}/kubeconfig", kube)
    end = client_end(kube)
    if end is not None:
        services.store.note_expiries(cluster, {"kubeconfig": end})
    write_private(services.home.access(cluster) / "kubeconfig", kube)


def renew_access(services: Services, cluster: str) -> None:
    """Makes the kubeconfig anew, offline, if it ends within 30 days. Nothing that was never there is made."""
    services.store.forget_expiry(cluster, "talosconfig")  # older versions kept one, for a year
    row, noted = services.store.cluster(cluster), services.store.expiries(cluster)
    now = services.clock.now()
    if row is None or "kubeconfig" not in noted:
        return
    if datetime.fromisoformat(noted["kubeconfig"]) - now > RENEW_BEFORE:
        return
    bundle = bundle_of(services, cluster)
    text = kubeconfig(bundle, cluster, row.endpoint, now=now, random_bytes=secrets.token_bytes)
    keep_access(services, cluster, text.encode())
    services.store.event("AccessRenewed", f"cluster/{cluster}", "kubeconfig made anew")
