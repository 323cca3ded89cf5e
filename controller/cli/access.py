"""The files with which an operator's own tools reach a cluster, kept below the home for its owner only.

A talosconfig is made anew each time, for a limited time; a kubeconfig is the one the cluster itself gave.
Prints nothing.
"""

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
    """For `talosctl`, with a certificate that is valid for `lifetime`. Takes the place of the one before."""
    from controller.app.access import talosconfig_of
    from controller.app.bundles import secrets_name

    if not services.store.has_secret(secrets_name(cluster)):
        raise OperatorError("it has no secrets yet", where=cluster, fix="cto apply makes them")
    text = talosconfig_of(services, cluster, now=now, lifetime=lifetime)
    path: Path = services.home.access(cluster) / "talosconfig"
    write_private(path, text.encode())
    return path
