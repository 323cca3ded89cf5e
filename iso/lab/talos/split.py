"""Configurations of Talos 1.14, whose matters are documents of their own, in the shape that they had before.

`as_one` gives a main document with the fields the lab reads in their old places, and says which of them were
in both places, which the real one refuses. It judges nothing else. Install disks are chosen by CEL
expressions; of these the lab understands the forms that name one disk.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_DEVICE = re.compile(r'\s*disk\.(dev_path|serial|wwid)\s*==\s*["\']([^"\']+)["\']\s*')
_SYMLINK = re.compile(r'\s*["\']([^"\']+)["\']\s+in\s+disk\.symlinks\s*')

# Kind → what must not be in the main document beside it.
_CONFLICTS: Mapping[str, tuple[str, ...]] = {
    "DiscoveryIdentityConfig": ("cluster.id", "cluster.secret"),
    "DiscoveryServiceConfig": ("cluster.discovery",),
    "KernelModuleConfig": ("machine.kernel",),
    "KubeAPIServerCAConfig": ("cluster.ca", "cluster.acceptedCAs"),
    "KubeAPIServerConfig": ("cluster.apiServer",),
    "KubeClusterConfig": ("cluster.clusterName", "cluster.controlPlane"),
    "KubeEtcdEncryptionConfig": ("cluster.secretboxEncryptionSecret", "cluster.aescbcEncryptionSecret"),
    "KubeFlannelCNIConfig": ("cluster.network",),
    "KubeNetworkConfig": ("cluster.network",),
    "KubeNodeConfig": (
        "cluster.allowSchedulingOnControlPlanes",
        "machine.nodeLabels",
        "machine.nodeAnnotations",
        "machine.nodeTaints",
    ),
    "KubeProxyConfig": ("cluster.proxy",),
    "KubeServiceAccountConfig": ("cluster.serviceAccount",),
    "KubeletConfig": ("machine.kubelet",),
    "SysctlConfig": ("machine.sysctls",),
    "UnattendedInstallConfig": ("machine.install",),
}


def conflicts(main: Mapping[str, Any], documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """What stands in the main document and in a document too."""
    return [
        f"{kind}: {path} is already set in v1alpha1 config"
        for kind in dict.fromkeys(str(document.get("kind")) for document in documents)
        for path in _CONFLICTS.get(kind, ())
        if _at(main, *path.split(".")) is not None
    ]


def as_one(main: Mapping[str, Any], documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The main document with what the documents say in the places of old."""
    kinds = {str(document.get("kind")): document for document in documents}
    found = {**_cluster(kinds), **_machine(kinds)}
    if "KubeNetworkConfig" in kinds:
        found["cluster.network.cni.name"] = "flannel" if "KubeFlannelCNIConfig" in kinds else "none"
    result: dict[str, Any] = {key: _copied(value) for key, value in main.items()}
    for path, value in found.items():
        if value is not None:
            _put(result, path.split("."), value)
    return result


def install_disk(expression: str) -> str:
    """The path, serial or WWID that a CEL expression of a usual form names; empty for any other."""
    for form in (_DEVICE, _SYMLINK):
        match = form.fullmatch(expression)
        if match:
            return match[match.lastindex or 1]
    return ""


def _cluster(kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    issuing = _at(kinds, "KubeAPIServerCAConfig", "issuingCA")
    accepted = _at(kinds, "KubeAPIServerCAConfig", "acceptedCAs")
    first = accepted[0] if isinstance(accepted, list) and accepted else None
    return {
        "cluster.clusterName": _at(kinds, "KubeClusterConfig", "clusterName"),
        "cluster.controlPlane.endpoint": _at(kinds, "KubeClusterConfig", "endpoint"),
        "cluster.id": _at(kinds, "DiscoveryIdentityConfig", "clusterID"),
        "cluster.secret": _at(kinds, "DiscoveryIdentityConfig", "clusterSecret"),
        "cluster.ca.crt": _base64(_at(issuing, "cert") or first),
        "cluster.ca.key": _base64(_at(issuing, "key")),
        "cluster.acceptedCAs": [{"crt": _base64(pem)} for pem in accepted or ()] if issuing else None,
        "cluster.serviceAccount.key": _base64(_at(kinds, "KubeServiceAccountConfig", "issuer", "privateKey")),
        "cluster.apiServer.certSANs": _at(kinds, "KubeAPIServerConfig", "certExtraSANs"),
        "cluster.apiServer.image": _at(kinds, "KubeAPIServerConfig", "image"),
        "cluster.controllerManager.image": _at(kinds, "KubeControllerManagerConfig", "image"),
        "cluster.scheduler.image": _at(kinds, "KubeSchedulerConfig", "image"),
    }


def _machine(kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    taints = _at(kinds, "KubeNodeConfig", "taints")
    tainted = isinstance(taints, Mapping) and CONTROL_PLANE in taints
    install = kinds.get("UnattendedInstallConfig")
    match = str(_at(install, "provisioning", "diskSelector", "match") or "")
    return {
        "machine.kubelet.image": _at(kinds, "KubeletConfig", "image"),
        "machine.nodeLabels": _at(kinds, "KubeNodeConfig", "labels"),
        "cluster.allowSchedulingOnControlPlanes": (not tainted if "KubeNodeConfig" in kinds else None),
        "machine.install.image": _at(install, "installer", "image"),
        "machine.install.disk": install_disk(match) or None,
    }


def _base64(text: Any) -> str | None:
    return base64.b64encode(str(text).encode()).decode() if text else None


def _copied(value: Any) -> Any:
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _put(target: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        inner = target.get(key)
        target[key] = inner if isinstance(inner, dict) else {}
        target = target[key]
    target[path[-1]] = value


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
