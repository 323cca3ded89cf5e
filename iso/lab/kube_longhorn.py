"""Longhorn's objects in the lab's Kubernetes API: settings, volumes, nodes, its ConfigMap and StorageClass.

Kept as they were posted. Two things are as in Longhorn: its nodes follow the cluster's, and its StorageClass
is made anew from the ConfigMap, since a class's parameters can't be changed. No volume holds data.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from iso.lab.kube_documents import Answer, failure

if TYPE_CHECKING:
    from iso.lab.talos.cluster import Cluster

_OWN = "/apis/longhorn.io/v1beta2/namespaces/longhorn-system/"
_MAPS = "/api/v1/namespaces/longhorn-system/configmaps"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_COLLECTIONS = (f"{_OWN}settings", f"{_OWN}volumes", _MAPS, _CLASSES)
_NODES = f"{_OWN}nodes"
_SOURCE = "longhorn-storageclass"


class Longhorn:
    """Of one cluster; there is none until somebody posts its settings."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._kept: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in _COLLECTIONS}

    def answer(self, method: str, target: str, body: Mapping[str, Any]) -> Answer | None:
        """None if the path is not about these objects."""
        path = target.partition("?")[0].rstrip("/")
        if path == _NODES and method == "GET" and self._kept[f"{_OWN}settings"]:
            return 200, self._list(path, [_node(n.name, ready=n.ready) for n in self._cluster.nodes.values()])
        collection, _, name = (path, "", "") if path in self._kept else path.rpartition("/")
        if collection not in self._kept:
            return None
        kept = self._kept[collection]
        if not name:
            return self._collection(method, collection, body)
        if name not in kept:
            return failure(404, "NotFound", f'"{name}" not found')
        return (200, kept[name]) if method == "GET" else self._patch(method, collection, name, body)

    def _collection(self, method: str, collection: str, body: Mapping[str, Any]) -> Answer:
        kept = self._kept[collection]
        if method == "GET":
            return 200, self._list(collection, list(kept.values()))
        if method != "POST":
            return failure(405, "MethodNotAllowed", f"{method} is not part of the lab")
        name = str(body.get("metadata", {}).get("name", ""))
        if name in kept:
            return failure(409, "AlreadyExists", f'"{name}" already exists')
        kept[name] = dict(body)
        self._follow(collection, name)
        return 201, kept[name]

    def _patch(self, method: str, collection: str, name: str, body: Mapping[str, Any]) -> Answer:
        if method != "PATCH":
            return failure(405, "MethodNotAllowed", f"{method} is not part of the lab")
        if collection == _CLASSES and "parameters" in body:
            return failure(422, "Invalid", "parameters: Forbidden: updates to parameters are forbidden.")
        kept = self._kept[collection]
        kept[name] = _merged(kept[name], body)
        self._follow(collection, name)
        return 200, kept[name]

    def _follow(self, collection: str, name: str) -> None:
        if (collection, name) == (_MAPS, _SOURCE):
            made = yaml.safe_load(self._kept[_MAPS][_SOURCE]["data"]["storageclass.yaml"])
            self._kept[_CLASSES][made["metadata"]["name"]] = made

    def _list(self, path: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        version = "longhorn.io/v1beta2" if path.startswith(_OWN) else "v1"
        metadata = {"resourceVersion": str(self._cluster.revision)}
        return {"apiVersion": version, "kind": "List", "metadata": metadata, "items": items}


def _node(name: str, *, ready: bool) -> dict[str, Any]:
    status = "True" if ready else "False"
    return {
        "apiVersion": "longhorn.io/v1beta2",
        "kind": "Node",
        "metadata": {"name": name, "namespace": "longhorn-system"},
        "spec": {"allowScheduling": True},
        "status": {"conditions": [{"type": "Ready", "status": status}]},
    }


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
