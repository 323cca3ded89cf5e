"""The files with which an operator's own tools reach a cluster, kept below the home for its owner only.

A kubeconfig is the one that the cluster itself gave, if it was fetched and nothing else is asked for; all
others are made offline from the cluster's secrets, for a limited time, and no node is asked. Prints nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.store.home import write_private

if TYPE_CHECKING:
    from controller.app.access import Reach
    from controller.cli.base import App

DEFAULT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Handed:
    """A file, the addresses in it, who says them, and until when it is good (None: as it was given)."""

    path: Path
    endpoints: tuple[str, ...]
    said_by: str
    until: datetime | None


def source(app: "App", services: Any, cluster: str, files: Sequence[Path], secrets: Path | None) -> "Reach":
    """Where the cluster is and what its secrets are. Site files are read if they are named, or if nothing
    else knows the cluster whose secrets are given.
    """
    from controller.app.access import reach
    from controller.app.bundles import parse
    from controller.cli.base import load_site_files, read_text

    bundle = parse(read_text(secrets), str(secrets)) if secrets else None
    unknown = secrets is not None and services.store.cluster(cluster) is None
    fleet = load_site_files(app, files).fleet if files or unknown else None
    return reach(services, cluster, fleet=fleet, bundle=bundle)


def fetched(services: Any, cluster: str) -> Handed | None:
    """The kubeconfig that is kept; None if there is none."""
    name = f"cluster/{cluster}/kubeconfig"
    if not services.store.has_secret(name):
        return None
    path: Path = services.home.access(cluster) / "kubeconfig"
    text = bytes(services.store.get_secret(name))
    write_private(path, text)
    return Handed(path, _servers(text), "the kubeconfig that is kept", None)


def kubeconfig(services: Any, reach: "Reach", *, now: datetime, hours: int | None) -> Handed:
    """Made offline. Takes the place of the file before, not of the one that is kept."""
    lifetime = timedelta(hours=hours or DEFAULT_HOURS)
    text = reach.kubeconfig(now=now, lifetime=lifetime)
    path: Path = services.home.access(reach.cluster) / "kubeconfig"
    write_private(path, text.encode())
    return Handed(path, (reach.endpoint,), reach.said_by, now + lifetime)


def talosconfig(services: Any, reach: "Reach", *, now: datetime, hours: int | None) -> Handed:
    """Made offline. Takes the place of the one before."""
    lifetime = timedelta(hours=hours or DEFAULT_HOURS)
    text = reach.talosconfig(now=now, lifetime=lifetime)
    path: Path = services.home.access(reach.cluster) / "talosconfig"
    write_private(path, text.encode())
    return Handed(path, reach.control_planes, reach.said_by, now + lifetime)


def _servers(text: bytes) -> tuple[str, ...]:
    """The addresses in a kubeconfig; none if it is not one."""
    import yaml

    try:
        loaded = yaml.safe_load(text)
        return tuple(str(entry["cluster"]["server"]) for entry in loaded["clusters"])
    except (yaml.YAMLError, KeyError, TypeError):
        return ()
