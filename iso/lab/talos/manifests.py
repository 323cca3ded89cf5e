"""Inline manifests, as Talos applies them: what is missing is made, what is there is left alone.

No pod runs in the lab. Of all objects only one thing matters here, whether a pod network comes of them: an
agent on every node, or a job that installs Cilium.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from iso.lab.talos.cluster import Cluster
from iso.lab.talos.config import MachineConfig

_SYSTEM = "kube-system"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def apply(cluster: Cluster, config: MachineConfig) -> str:
    """By a control plane whose API server runs. Returns what is wrong with a manifest, or nothing."""
    if config.cni != "none":  # flannel, or what the configuration's own URLs bring
        _connect(cluster, "kube-flannel")
    try:
        objects = {_key(item): item for manifest in _texts(config) for item in _objects(manifest)}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    for key, item in objects.items():
        if key not in cluster.objects:
            cluster.objects[key] = item
            if _installs_cilium(item):
                _connect(cluster, "cilium")
            cluster.network = cluster.network or _is_agent(item)
    cluster.signal.fire()
    return ""


def _texts(config: MachineConfig) -> Iterator[str]:
    for manifest in config.section("cluster").get("inlineManifests") or ():
        yield str(manifest["contents"])
    for document in config.documents:
        if document["kind"] == "KubeInlineManifestConfig":
            yield str(document["manifest"])


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in yaml.load_all(text, Loader=_LOADER) if item is not None)


def _key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return str(item["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])


def _connect(cluster: Cluster, agent: str) -> None:
    """The agent's DaemonSet, as an installer leaves it."""
    template = {"spec": {"hostNetwork": True, "containers": [{"name": agent, "image": agent}]}}
    spec = {"selector": {"matchLabels": {"app": agent}}, "template": template}
    item = {"kind": "DaemonSet", "metadata": {"name": agent, "namespace": _SYSTEM}, "spec": spec}
    cluster.objects.setdefault(_key(item), item)
    cluster.network = True


def daemon_sets(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """As the API lists them: one pod on each node, ready where the node is."""
    ready, nodes = sum(node.ready for node in cluster.nodes.values()), len(cluster.nodes)
    counts = {"desiredNumberScheduled": nodes, "currentNumberScheduled": nodes, "numberMisscheduled": 0}
    items = [
        {**item, "apiVersion": "apps/v1", "status": {**counts, "numberReady": ready}}
        for (kind, place, _), item in cluster.objects.items()
        if (kind, place) == ("DaemonSet", namespace)
    ]
    metadata = {"resourceVersion": str(cluster.revision)}
    return {"kind": "DaemonSetList", "apiVersion": "apps/v1", "metadata": metadata, "items": items}


def _pod(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ((item.get("spec") or {}).get("template") or {}).get("spec") or {}
    return found


def _is_agent(item: Mapping[str, Any]) -> bool:
    return item["kind"] == "DaemonSet" and bool(_pod(item).get("hostNetwork"))


def _installs_cilium(item: Mapping[str, Any]) -> bool:
    """Without a pod network only a pod on its node's own can start."""
    pod = _pod(item)
    commands = [list(container.get("command") or ()) for container in pod.get("containers") or ()]
    starts = item["kind"] == "Job" and bool(pod.get("hostNetwork"))
    return starts and any(command[:2] == ["cilium", "install"] for command in commands)
