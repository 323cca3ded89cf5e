"""Kubeconfig and talosconfig of a cluster as 0600 files in the home. Step `fetch-access` does the fetching.

The kubeconfig is kept, sealed, and renewed. A talosconfig is not: it is an administrator of every node, Talos
can't revoke one, and from the bundle a new one is made offline at any time, for as long as it is needed.
"""

import secrets
from datetime import datetime, timedelta

from controller.app.bundles import client_end
from controller.app.desired import bundle_of
from controller.app.services import Services
from controller.store.home import write_private
from roles.access import kubeconfig, talosconfig

RENEW_BEFORE = timedelta(days=30)


def talosconfig_of(services: Services, cluster: str, *, now: datetime, lifetime: timedelta) -> str:
    """For `talosctl`, with a certificate that is valid for `lifetime`."""
    rows = services.store.nodes(cluster=cluster)
    return talosconfig(
        bundle_of(services, cluster),
        cluster,
        [row.address for row in rows if row.role != "worker"],
        [row.address for row in rows],
        now=now,
        random_bytes=secrets.token_bytes,
        lifetime=lifetime,
    )


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
