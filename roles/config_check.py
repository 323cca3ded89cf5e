"""Looks over a machine configuration for one Talos minor: documents, kinds, role, who may hold which key.

Talos itself is the judge. Not looked at here: the fields inside sections and documents, whether the disk
exists, whether addresses fit the network. Those show when a node is given the text with a dry run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from roles.talos_version import Contract

NOT_JUDGED = "the fields inside sections and documents, the install disk, the network"

# Kind → the first minor that knows it (Talos config/types, release branches 1.8 to 1.13).
_BY_MINOR: Mapping[int, str] = {
    8: "EventSinkConfig ExtensionServiceConfig KmsgLogConfig KubeSpanEndpointsConfig "
    "NetworkDefaultActionConfig NetworkRuleConfig SideroLinkConfig TrustedRootsConfig "
    "VolumeConfig WatchdogTimerConfig",
    10: "EthernetConfig PCIDriverRebindConfig UserVolumeConfig",
    11: "ExistingVolumeConfig RawVolumeConfig SwapVolumeConfig ZswapConfig",
    12: "BondConfig BridgeConfig DHCPv4Config DHCPv6Config DummyLinkConfig HCloudVIPConfig HostnameConfig "
    "Layer2VIPConfig LinkAliasConfig LinkConfig OOMConfig RegistryAuthConfig RegistryMirrorConfig "
    "RegistryTLSConfig ResolverConfig StaticHostConfig TimeSyncConfig VLANConfig WireguardConfig",
    13: "BlackholeRouteConfig EnvironmentConfig ExternalVolumeConfig ImageVerificationConfig KubeSpanConfig "
    "RoutingRuleConfig TCPProbeConfig VRFConfig",
}
KINDS: Mapping[str, int] = {kind: minor for minor, kinds in _BY_MINOR.items() for kind in kinds.split()}
_TOP = frozenset({"version", "machine", "cluster", "debug", "persist"})


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
    found = list(_documents(documents, contract))
    if len(mains) != 1:
        return [*found, f"there are {len(mains)} main documents (without kind); there must be one"]
    return [*found, *_main(mains[0])]


def _documents(documents: list[dict[str, Any]], contract: Contract) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for document in documents:
        if "kind" not in document:
            continue
        kind, name = str(document["kind"]), str(document.get("name", ""))
        if document.get("apiVersion") != "v1alpha1":
            yield f"{kind} has not apiVersion: v1alpha1"
        if kind not in KINDS:
            yield f"no Talos from 1.8 to 1.13 knows the kind {kind}"
        elif KINDS[kind] > contract.number:
            yield f"Talos {contract.minor} does not know the kind {kind}, which came with 1.{KINDS[kind]}"
        if (kind, name) in seen:
            yield f"there are two documents {kind} {name}".rstrip()
        seen.add((kind, name))


def _main(main: Mapping[str, Any]) -> Iterator[str]:
    if main.get("version") != "v1alpha1":
        yield "the main document has not version: v1alpha1"
    yield from (f"the main document has an unknown key {key}" for key in main if key not in _TOP)
    kind = _at(main, "machine", "type")
    if kind not in {"controlplane", "worker"}:
        yield "machine.type is neither controlplane nor worker"
    if not str(_at(main, "cluster", "controlPlane", "endpoint") or "").startswith("https://"):
        yield "cluster.controlPlane.endpoint is no https:// address"
    if not _at(main, "machine", "ca", "crt"):
        yield "machine.ca.crt is missing"
    install = _at(main, "machine", "install") or {}
    if not isinstance(install, Mapping) or not (install.get("disk") or install.get("diskSelector")):
        yield "machine.install names no disk"
    keys = (("machine", "ca", "key"), ("cluster", "ca", "key"), ("cluster", "etcd", "ca", "key"))
    for path in keys:
        if kind == "controlplane" and not _at(main, *path):
            yield f"{'.'.join(path)} is missing on a control plane"
        if kind == "worker" and _at(main, *path):
            yield f"{'.'.join(path)} is set on a worker, which must hold no key"


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
