"""Kubeconfig and talosconfig of a cluster as 0600 files in the home.

The sealed copy in the store is the original.

Fetches nothing: step `fetch-access` does.
"""

import secrets
from pathlib import Path
from typing import Literal

from controller.app.desired import bundle_of
from controller.app.services import Services
from controller.store.home import write_private
from inventory.errors import OperatorError
from roles.access import talosconfig

Kind = Literal["kubeconfig", "talosconfig"]


def keep_access(services: Services, cluster: str, kubeconfig: bytes) -> None:
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
    for kind, content in (("kubeconfig", kubeconfig), ("talosconfig", made.encode())):
        services.store.put_secret(f"cluster/{cluster}/{kind}", content)
        write_private(services.home.access(cluster) / kind, content)


def access_file(services: Services, cluster: str, kind: Kind) -> Path:
    """The file, written again if it was removed. Raises OperatorError if it was never fetched."""
    path = services.home.access(cluster) / kind
    if not path.is_file():
        name = f"cluster/{cluster}/{kind}"
        if not services.store.has_secret(name):
            raise OperatorError(f"its {kind} was not fetched yet", where=cluster, fix="cto apply fetches it")
        write_private(path, services.store.get_secret(name))
    return path
