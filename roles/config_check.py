"""Looks over a machine configuration for one Talos minor: documents, kinds, keys at every depth, role, who
may hold which secret.

Talos itself is the judge. Not looked at here: the values of fields, whether the disk exists, whether
addresses fit the network. Those show when a node is given the text with a dry run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from roles.config_known import kinds, unknown_keys
from roles.config_moved import MOVED, moved_fields
from roles.talos_version import Contract

NOT_JUDGED = "the values of fields, the install disk, the network"

_NEEDED = ("KubeClusterConfig", "KubeNetworkConfig", "KubeletConfig", "KubeAPIServerCAConfig")
# Talos config/types, ControlplaneOnlyDocument
_CONTROL_PLANE_ONLY = frozenset(
    {
        "KubeAPIServerConfig",
        "KubeAdmissionControlConfig",
        "KubeAggregatorCAConfig",
        "KubeAuditPolicyConfig",
        "KubeAuthenticationConfig",
        "KubeAuthorizerConfig",
        "KubeControllerManagerConfig",
        "KubeCoreDNSConfig",
        "KubeEtcdEncryptionConfig",
        "KubeFlannelCNIConfig",
        "KubeProxyConfig",
        "KubeSchedulerConfig",
        "KubeServiceAccountConfig",
        "KubeTalosAPIAccessConfig",
    }
)
_ETCD_KEY = "cluster.etcd.ca.key"


def problems(text: str, contract: Contract) -> list[str]:
    """What Talos of this minor would refuse, as far as it can be said; empty if nothing was found."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [one for one in yaml.load_all(text, Loader=loader) if one is not None]
    except (yaml.YAMLError, ValueError, RecursionError):
        return ["this is not YAML"]  # without the parser's words, which could quote a secret
    if not all(isinstance(document, dict) for document in documents):
        return ["a document is not a map"]
    mains = [document for document in documents if "kind" not in document]
    found = [*_documents(documents, contract), *_keys_unknown(documents, contract)]
    if len(mains) != 1:
        return [*found, f"there are {len(mains)} main documents (without kind); there must be one"]
    judge = _split if contract.kubernetes_documents else _main
    return [*found, *_common(mains[0]), *judge(mains[0], documents)]


def _documents(documents: list[dict[str, Any]], contract: Contract) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for document in documents:
        if "kind" not in document:
            continue
        kind, name = str(document["kind"]), str(document.get("name", ""))
        if document.get("apiVersion") != "v1alpha1":
            yield f"{kind} has not apiVersion: v1alpha1"
        since = kinds().get(kind)
        if since is None:
            yield f"no Talos from 1.8 to 1.14 knows the kind {kind}"
        elif since > contract.number:
            yield f"Talos {contract.minor} does not know the kind {kind}, which came with 1.{since}"
        if (kind, name) in seen:
            yield f"there are two documents {kind} {name}".rstrip()
        seen.add((kind, name))


def _keys_unknown(documents: list[dict[str, Any]], contract: Contract) -> Iterator[str]:
    for document in documents:
        for unknown in unknown_keys(document, contract.number):
            why = f"; {unknown.why}" if unknown.why else ""
            yield f"{unknown.path}: Talos {contract.minor} knows no such key{why}"


def _common(main: Mapping[str, Any]) -> Iterator[str]:
    """What the main document must say for any Talos."""
    if main.get("version") != "v1alpha1":
        yield "the main document has not version: v1alpha1"
    kind = _at(main, "machine", "type")
    if kind not in {"controlplane", "worker"}:
        yield "machine.type is neither controlplane nor worker"
    if not _at(main, "machine", "ca", "crt"):
        yield "machine.ca.crt is missing"
    yield from _keys(kind, {path: _at(main, *path.split(".")) for path in ("machine.ca.key", _ETCD_KEY)})


def _main(main: Mapping[str, Any], _: list[dict[str, Any]]) -> Iterator[str]:
    """Up to Talos 1.13: nearly all is in the main document."""
    if not str(_at(main, "cluster", "controlPlane", "endpoint") or "").startswith("https://"):
        yield "cluster.controlPlane.endpoint is no https:// address"
    install = _at(main, "machine", "install") or {}
    if not isinstance(install, Mapping) or not (install.get("disk") or install.get("diskSelector")):
        yield "machine.install names no disk"
    yield from _keys(_at(main, "machine", "type"), {"cluster.ca.key": _at(main, "cluster", "ca", "key")})


def _split(main: Mapping[str, Any], documents: list[dict[str, Any]]) -> Iterator[str]:
    """From Talos 1.14: one document per matter."""
    kinds = {str(document.get("kind", "")): document for document in documents}
    yield from (f"{field} has moved: it is in {MOVED[field]} now" for field in moved_fields(main))
    yield from (f"{kind} is missing" for kind in _NEEDED if kind not in kinds)
    if not str(_at(kinds, "KubeClusterConfig", "endpoint") or "").startswith("https://"):
        yield "KubeClusterConfig.endpoint is no https:// address"
    install = kinds.get("UnattendedInstallConfig")
    if install is not None and not _at(install, "provisioning", "diskSelector", "match"):
        yield "UnattendedInstallConfig.provisioning.diskSelector.match is missing"
    kind = _at(main, "machine", "type")
    key = _at(kinds, "KubeAPIServerCAConfig", "issuingCA", "key")
    yield from _keys(kind, {"KubeAPIServerCAConfig.issuingCA.key": key})
    if kind == "worker":
        yield from (f"{name} is for control planes only" for name in kinds if name in _CONTROL_PLANE_ONLY)
    label = _at(kinds, "KubeNodeConfig", "labels", "node-role.kubernetes.io/control-plane")
    if kind == "controlplane" and "KubeNodeConfig" in kinds and label is None:
        yield "KubeNodeConfig lacks the label node-role.kubernetes.io/control-plane, which Talos adds no more"


def _keys(kind: Any, keys: Mapping[str, Any]) -> Iterator[str]:
    for path, key in keys.items():
        if kind == "controlplane" and not key:
            yield f"{path} is missing on a control plane"
        if kind == "worker" and key:
            yield f"{path} is set on a worker, which must hold no key"


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
