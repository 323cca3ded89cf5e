"""The Kubernetes endpoint of a cluster: the one in use, those it had before, and whom certificates are for.

Changes nothing; `endpoint_move` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from controller.app.services import Services
from inventory.fleet import Cluster


def endpoint_in_use(services: Services, cluster: str) -> str:
    """As the kept kubeconfig has it; empty if there is none yet."""
    name = f"cluster/{cluster}/kubeconfig"
    return server_of(services.store.get_secret(name)) if services.store.has_secret(name) else ""


def server_of(kubeconfig: bytes) -> str:
    """The server of the current context; empty if the text says none."""
    import yaml

    try:
        document = yaml.safe_load(kubeconfig)
        contexts = {one["name"]: one["context"]["cluster"] for one in document["contexts"]}
        clusters = {one["name"]: one["cluster"]["server"] for one in document["clusters"]}
        return str(clusters[contexts[document["current-context"]]])
    except (yaml.YAMLError, KeyError, TypeError):
        return ""


def lasting(services: Services, cluster: Cluster) -> Cluster:
    """With the addresses that the endpoint had before: their certificates stay good."""
    row = services.store.cluster(cluster.name)
    former: Sequence[str] = row.record.get("former_endpoints", ()) if row else ()
    return with_names(cluster, former)


def with_names(cluster: Cluster, endpoints: Sequence[str]) -> Cluster:
    """Its API servers' certificates are good for the hosts of these endpoints, too."""
    own = urlsplit(cluster.endpoint).hostname
    hosts = [host for one in endpoints if (host := urlsplit(one).hostname) and host != own]
    said: Sequence[str] = cluster.settings.get("certSANs") or ()
    names = list(dict.fromkeys((*said, *hosts)))
    if names == list(said):
        return cluster
    settings: Mapping[str, Any] = {**cluster.settings, "certSANs": names}
    return replace(cluster, settings=settings)
