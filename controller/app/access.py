"""Kubeconfig and talosconfig of a cluster as 0600 files in the home.

The sealed copy in the store is the original.

Fetches nothing: step `fetch-access` does.
"""

import secrets
from datetime import datetime, timedelta

from controller.app.bundles import client_end
from controller.app.desired import bundle_of
from controller.app.services import Services
from controller.store.home import write_private
from roles.access import YEAR, kubeconfig, talosconfig

RENEW_BEFORE = timedelta(days=30)


def talosconfig_of(services: Services, cluster: str, *, now: datetime, lifetime: timedelta = YEAR) -> str:
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
    """Seals both and writes both files. The talosconfig is made offline, from the cluster's own authority."""
    made = talosconfig_of(services, cluster, now=services.clock.now())
    for kind, content in (("kubeconfig", kube), ("talosconfig", made.encode())):
        services.store.put_secret(f"cluster/{cluster}/{kind}", content)
        end = client_end(content)
        if end is not None:
            services.store.note_expiries(cluster, {kind: end})
        write_private(services.home.access(cluster) / kind, content)


def renew_access(services: Services, cluster: str) -> None:
    """Makes both anew, offline, if one of them ends within 30 days. Nothing that was never there is made."""
    row, noted = services.store.cluster(cluster), services.store.expiries(cluster)
    now = services.clock.now()
    ends = [datetime.fromisoformat(noted[kind]) for kind in ("kubeconfig", "talosconfig") if kind in noted]
    if row is None or not ends or min(ends) - now > RENEW_BEFORE:
        return
    bundle = bundle_of(services, cluster)
    text = kubeconfig(bundle, cluster, row.endpoint, now=now, random_bytes=secrets.token_bytes)
    keep_access(services, cluster, text.encode())
    services.store.event("AccessRenewed", f"cluster/{cluster}", "kubeconfig and talosconfig made anew")
