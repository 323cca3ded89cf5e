"""Kubeconfig and talosconfig of a cluster as 0600 files in the home.

The sealed copy in the store is the original.

Fetches nothing: step `fetch-access` does.
"""

import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from controller.app.bundles import client_end
from controller.app.desired import bundle_of
from controller.app.services import Services
from controller.store.home import write_private
from inventory.errors import OperatorError
from roles.access import kubeconfig, talosconfig

Kind = Literal["kubeconfig", "talosconfig"]
RENEW_BEFORE = timedelta(days=30)


def keep_access(services: Services, cluster: str, kube: bytes) -> None:
    """Seals both and writes both files. The talosconfig is made offline, from the cluster's own authority."""
    rows = services.store.nodes(cluster=cluster)
    made = talosconfig(
        bundle_of(services, cluster),
        cluster,
        [row.address for row in rows if row.role != "worker"],
        [row.address for row in rows],
        now=services.clock.now(),
        random_bytes=secrets.token_bytes,
    )
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


def access_file(services: Services, cluster: str, kind: Kind) -> Path:
    """The file, written again if it was removed. Raises OperatorError if it was never fetched."""
    path = services.home.access(cluster) / kind
    if not path.is_file():
        name = f"cluster/{cluster}/{kind}"
        if not services.store.has_secret(name):
            raise OperatorError(f"its {kind} was not fetched yet", where=cluster, fix="cto apply fetches it")
        write_private(path, services.store.get_secret(name))
    return path
