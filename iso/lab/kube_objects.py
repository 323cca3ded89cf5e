"""Pods, disruption budgets and leases of the lab's Kubernetes API: kept, listed, evicted. No pod runs.

Static pods and those of DaemonSets follow from the nodes; others are what was posted. A pod that a ReplicaSet
made is made again at once on another node, ready a moment later. Budgets count as the eviction API does.
"""

import math
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from iso.lab.kube_documents import Answer, failure

if TYPE_CHECKING:
    from iso.lab.talos.cluster import Cluster, KubeNodeState

PODS, BUDGETS, LEASES = "pods", "poddisruptionbudgets", "leases"
_KINDS = {
    PODS: ("v1", "Pod"),
    BUDGETS: ("policy/v1", "PodDisruptionBudget"),
    LEASES: ("coordination.k8s.io/v1", "Lease"),
}
_ROOTS = {"/api/v1/": (PODS,), "/apis/policy/v1/": (BUDGETS,), "/apis/coordination.k8s.io/v1/": (LEASES,)}
_STARTS = timedelta(seconds=0.3)  # a pod that is made again, until it is ready
_SYSTEM = "kube-system"


class KubeObjects:
    """Of one cluster."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._stored: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._starts: dict[str, datetime] = {}  # by uid: when a pod that was made again is ready
        self._revision = 1

    def answer(self, method: str, target: str, body: Mapping[str, Any], now: datetime) -> Answer | None:
        """What is said to a request; None if its path is not about these objects."""
        path, _, query = target.partition("?")
        for root, names in _ROOTS.items():
            parts = path.removeprefix(root).strip("/").split("/") if path.startswith(root) else []
            namespace = parts[1] if parts[:1] == ["namespaces"] and len(parts) > 2 else ""
            parts = parts[2:] if namespace else parts
            if parts and parts[0] in names:
                return self._about(method, namespace, parts, parse_qs(query), body, now)
        return None

    def _about(  # noqa: PLR0911 - one for each kind of request
        self,
        method: str,
        namespace: str,
        parts: list[str],
        query: Mapping[str, list[str]],
        body: Mapping[str, Any],
        now: datetime,
    ) -> Answer:
        kind, name = parts[0], parts[1] if len(parts) > 1 else ""
        if len(parts) == 3 and parts[2] == "eviction" and method == "POST":
            return self._evict(namespace, name, body, now)
        if not name and method == "GET":
            return 200, self._list(kind, namespace, query, now)
        if not name and method == "POST":
            return self._create(kind, namespace, body, now)
        found = next((o for o in self._all(kind, now) if _key(kind, o) == (kind, namespace, name)), None)
        if found is None:
            return failure(404, "NotFound", f'{kind} "{name}" not found')
        if method == "GET":
            return 200, found
        if method == "PUT":
            return self._replace(kind, found, body)
        if method == "DELETE":
            self._stored.pop((kind, namespace, name), None)
            return 200, found
        return failure(405, "MethodNotAllowed", f"{method} is not part of the lab")

    def _list(
        self, kind: str, namespace: str, query: Mapping[str, list[str]], now: datetime
    ) -> dict[str, Any]:
        version, name = _KINDS[kind]
        node = (query.get("fieldSelector") or [""])[0].removeprefix("spec.nodeName=")
        items = [
            each
            for each in self._all(kind, now)
            if namespace in ("", each["metadata"]["namespace"])
            and (not node or each.get("spec", {}).get("nodeName") == node)
        ]
        metadata = {"resourceVersion": str(self._revision)}
        return {"apiVersion": version, "kind": f"{name}List", "metadata": metadata, "items": items}

    def _create(self, kind: str, namespace: str, body: Mapping[str, Any], now: datetime) -> Answer:
        name = str(body.get("metadata", {}).get("name", ""))
        if (kind, namespace, name) in self._stored:
            return failure(409, "AlreadyExists", f'{kind} "{name}" already exists')
        made = self._made(kind, namespace, name, body)
        if kind == PODS and not made["spec"].get("nodeName"):
            made["spec"]["nodeName"] = self._place("")
        self._stored[(kind, namespace, name)] = made
        return 201, self._shown(made, now) if kind == PODS else made

    def _made(self, kind: str, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        version, title = _KINDS[kind]
        self._revision += 1
        metadata = {
            **body.get("metadata", {}),
            "name": name,
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "resourceVersion": str(self._revision),
        }
        spec = dict(body.get("spec", {}))
        return {"apiVersion": version, "kind": title, "metadata": metadata, "spec": spec}

    def _replace(self, kind: str, found: dict[str, Any], body: Mapping[str, Any]) -> Answer:
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != found["metadata"]["resourceVersion"]:
            return failure(409, "Conflict", "the object has been modified")
        self._revision += 1
        found["spec"] = dict(body.get("spec", {}))
        found["metadata"]["resourceVersion"] = str(self._revision)
        self._stored[_key(kind, found)] = found
        return 200, found

    # --- evictions

    def _evict(self, namespace: str, name: str, body: Mapping[str, Any], now: datetime) -> Answer:
        pod = self._stored.get((PODS, namespace, name))
        if pod is None:
            return failure(404, "NotFound", f'pods "{name}" not found')
        options = body.get("deleteOptions") or {}
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != pod["metadata"]["uid"]:
            return failure(409, "Conflict", "the UID in the precondition does not match")
        for budget in self._all(BUDGETS, now):
            if not self._allows(budget, pod, now):
                name = budget["metadata"]["name"]
                return failure(
                    429,
                    "TooManyRequests",
                    f"Cannot evict pod as it would violate the pod's disruption budget {name}.",
                )
        if not options.get("dryRun"):
            del self._stored[(PODS, namespace, name)]
            self._again(pod, now)
        return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}

    def _allows(self, budget: Mapping[str, Any], pod: Mapping[str, Any], now: datetime) -> bool:
        namespace, spec = budget["metadata"]["namespace"], budget["spec"]
        labels = spec.get("selector", {}).get("matchLabels", {})
        members = [
            each
            for each in self._all(PODS, now)
            if each["metadata"]["namespace"] == namespace
            and labels.items() <= each["metadata"].get("labels", {}).items()
        ]
        if pod["metadata"]["uid"] not in {each["metadata"]["uid"] for each in members}:
            return True
        healthy = sum(each["status"]["conditions"][0]["status"] == "True" for each in members)
        if "minAvailable" in spec:
            needed = _count(spec["minAvailable"], len(members))
        else:
            needed = len(members) - _count(spec.get("maxUnavailable", 1), len(members))
        return bool(healthy - 1 >= needed)

    def _again(self, pod: Mapping[str, Any], now: datetime) -> None:
        """What its ReplicaSet does."""
        metadata = pod["metadata"]
        owners = [each for each in metadata.get("ownerReferences", ()) if each.get("kind") == "ReplicaSet"]
        if not owners:
            return
        name = f"{metadata['name'].rpartition('-')[0] or metadata['name']}-{uuid.uuid4().hex[:5]}"
        made = self._made(PODS, metadata["namespace"], name, pod)
        made["spec"]["nodeName"] = self._place(str(pod["spec"].get("nodeName")))
        self._starts[made["metadata"]["uid"]] = now + _STARTS
        self._stored[(PODS, metadata["namespace"], name)] = made

    def _place(self, but: str) -> str:
        nodes = sorted(self._cluster.nodes.values(), key=lambda node: (node.control_plane, node.name))
        fit = [n.name for n in nodes if n.ready and not n.unschedulable and n.name != but]
        return fit[0] if fit else ""

    # --- what there is

    def _all(self, kind: str, now: datetime) -> list[dict[str, Any]]:
        stored = [each for (name, _, _), each in sorted(self._stored.items()) if name == kind]
        if kind != PODS:
            return stored
        return [self._shown(each, now) for each in (*stored, *self._system())]

    def _system(self) -> Iterator[dict[str, Any]]:
        """Static pods of control planes, and one pod of each DaemonSet on each node."""
        sets = [
            name for kind, place, name in self._cluster.objects if (kind, place) == ("DaemonSet", _SYSTEM)
        ]
        for node in self._cluster.nodes.values():
            for component, image in node.components.items():
                yield _static(node, component, image)
            for name in sets:
                yield _daemon(node, name)

    def _shown(self, pod: dict[str, Any], now: datetime) -> dict[str, Any]:
        node = self._cluster.nodes.get(str(pod["spec"].get("nodeName")))
        ready = node is not None and node.ready and self._starts.get(pod["metadata"]["uid"], now) <= now
        phase = "Pending" if node is None else "Running"
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        return {**pod, "status": {"phase": phase, "conditions": conditions}}


def _key(kind: str, item: Mapping[str, Any]) -> tuple[str, str, str]:
    return kind, item["metadata"]["namespace"], item["metadata"]["name"]


def _count(value: int | str, total: int) -> int:
    return math.ceil(int(value.removesuffix("%")) * total / 100) if isinstance(value, str) else value


def _owner(version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True}


def _static(node: "KubeNodeState", component: str, image: str) -> dict[str, Any]:
    metadata = {
        "name": f"{component}-{node.name}",
        "namespace": _SYSTEM,
        "uid": f"{node.uid}-{component}",
        "labels": {"component": component, "tier": "control-plane"},
        "annotations": {"kubernetes.io/config.mirror": node.uid},
        "ownerReferences": [_owner("v1", "Node", node.name, node.uid)],
    }
    spec = {"nodeName": node.name, "containers": [{"name": component, "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _daemon(node: "KubeNodeState", name: str) -> dict[str, Any]:
    metadata = {
        "name": f"{name}-{node.uid[:5]}",
        "namespace": _SYSTEM,
        "uid": f"{node.uid}-{name}",
        "labels": {"app": name},
        "ownerReferences": [_owner("apps/v1", "DaemonSet", name, name)],
    }
    spec = {"nodeName": node.name, "containers": [{"name": name, "image": name}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
