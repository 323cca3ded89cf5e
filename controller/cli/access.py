"""The files with which an operator's own tools reach a cluster, kept below the home for its owner only.

A talosconfig is made anew each time, for a limited time; a kubeconfig is the one the cluster itself gave.
Prints nothing.
"""

import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from controller.store.home import write_private
from inventory.errors import OperatorError

_AGAIN = "cto apply fetches it once the cluster has started"


def kubeconfig(services: Any, cluster: str) -> Path:
    """As the cluster's control plane gave it."""
    name = f"cluster/{cluster}/kubeconfig"
    if not services.store.has_secret(name):
        raise OperatorError("its kubeconfig was not fetched yet", where=cluster, fix=_AGAIN)
    path: Path = services.home.access(cluster) / "kubeconfig"
    write_private(path, bytes(services.store.get_secret(name)))
    return path


def talosconfig(services: Any, cluster: str, *, now: datetime, lifetime: timedelta) -> Path:
    """For `talosctl`, with a certificate that is valid for `lifetime`."""
    from controller.app.desired import bundle_of
    from roles.access import talosconfig as render

    if not services.store.has_secret(f"cluster/{cluster}/secrets"):
        raise OperatorError("it has no secrets yet", where=cluster, fix="cto apply makes them")
    members = services.store.nodes(cluster=cluster)
    text = render(
        bundle_of(services, cluster),
        cluster,
        [row.address for row in members if row.role != "worker"],
        [row.address for row in members],
        now=now,
        random_bytes=secrets.token_bytes,
        lifetime=lifetime,
    )
    path: Path = services.home.access(cluster) / "talosconfig"
    write_private(path, text.encode())
    return path
