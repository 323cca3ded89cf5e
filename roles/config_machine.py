"""The `machine` section of the main document: the node itself. Of secrets it takes only what this role may
hold. From Talos 1.14 on most of it has moved to the documents of `config_system` and `config_kubernetes`.

A worker never gets a CA key: whoever takes one worker must not own the cluster (Talos generate/worker.go).
"""

from collections.abc import Mapping
from typing import Any

from roles.authorities import legacy_field
from roles.config_documents import proxy_variables
from roles.config_input import ConfigInput
from roles.config_legacy import legacy_fields
from roles.reservations import system_reserved
from roles.secrets import b64

KUBEPRISM_PORT = 7445
_NO_LOAD_BALANCER = "node.kubernetes.io/exclude-from-external-load-balancers"


def machine_section(source: ConfigInput) -> dict[str, Any]:
    """In the order of Talos's own generator."""
    control_plane = source.role.control_plane
    section: dict[str, Any] = {
        "type": source.role.talos_type,
        "token": source.bundle.trustd_token,
        "ca": {"crt": b64(source.bundle.os.crt), "key": b64(source.bundle.os.key) if control_plane else ""},
        **legacy_field(source.bundle.accepted.os),
        "certSANs": _cert_sans(source),
    }
    contract = source.contract
    if contract.kubernetes_documents:
        return section | {"features": {"diskQuotaSupport": True}}
    section |= {"kubelet": _kubelet(source), "install": _install(source), "features": _features(source)}
    modules = kernel_modules(source)
    optional = {
        **({} if contract.network_documents else legacy_fields(source)),
        "env": {} if contract.environment_document else proxy_variables(source),
        "sysctls": sysctls(source),
        "kernel": {"modules": modules} if modules else {},
        "nodeLabels": node_labels(source),
        "nodeTaints": dict(source.settings.get("nodeTaints") or {}),
    }
    return section | {key: value for key, value in optional.items() if value}


def _install(source: ConfigInput) -> dict[str, Any]:
    install: dict[str, Any] = {"disk": source.install_disk, "image": source.installer, "wipe": False}
    return install | ({"grubUseUKICmdline": True} if source.contract.network_documents else {})


def _features(source: ConfigInput) -> dict[str, Any]:
    explicit = {"rbac": True, "stableHostname": True, "apidCheckExtKeyUsage": True}
    return {
        **(explicit if source.contract.explicit_features else {}),
        "diskQuotaSupport": True,
        "kubePrism": {"enabled": True, "port": KUBEPRISM_PORT},
        "hostDNS": {"enabled": True, "forwardKubeDNSToHost": True},
    }


def _cert_sans(source: ConfigInput) -> list[str]:
    """Names for the Talos API's certificate; the node's own addresses and host name Talos adds itself."""
    names = [source.talos_address, source.node.address]
    if source.role.control_plane:
        names += [source.endpoint_host, *source.cert_sans]
    return list(dict.fromkeys(name for name in names if name))


def _kubelet(source: ConfigInput) -> dict[str, Any]:
    mounts = [dict(mount) for feature in source.features for mount in feature.mounts]
    return {
        "image": f"ghcr.io/siderolabs/kubelet:v{source.cluster.kubernetes}",
        "extraConfig": {"systemReserved": reserved(source)},
        **({"extraMounts": mounts} if mounts else {}),
        "defaultRuntimeSeccompProfileEnabled": True,
        "disableManifestsDirectory": True,
    }


def reserved(source: ConfigInput) -> dict[str, str]:
    """What the kubelet keeps for the node itself."""
    return dict(
        system_reserved(memory=source.memory, cores=source.threads, control_plane=source.role.control_plane)
    )


def sysctls(source: ConfigInput) -> dict[str, str]:
    """The profile's, then the features', then the site file's, which has the last word."""
    result: dict[str, str] = dict(source.profile.sysctls) if source.profile else {}
    for feature in source.features:
        result |= feature.sysctls if source.contract.number <= feature.sysctls_until else {}
    return result | {key: str(value) for key, value in (source.settings.get("sysctls") or {}).items()}


def kernel_modules(source: ConfigInput) -> list[dict[str, Any]]:
    """The profile's and the features', each with its parameters if the site file gives it some."""
    names = [*(source.profile.kernel_modules if source.profile else ())]
    names += [name for feature in source.features for name in feature.modules]
    modules: dict[str, dict[str, Any]] = {name: {"name": name} for name in names}
    for module in source.settings.get("kernelModules") or ():
        modules[module["name"]] = _module(module)
    return list(modules.values())


def _module(module: Mapping[str, Any]) -> dict[str, Any]:
    parameters = list(module.get("parameters") or ())
    return {"name": module["name"], **({"parameters": parameters} if parameters else {})}


def node_labels(source: ConfigInput) -> dict[str, str]:
    """The site file's, and the one that keeps load balancers away where no workloads run."""
    labels = {_NO_LOAD_BALANCER: ""} if source.role.control_plane and not source.schedulable else {}
    return labels | {key: str(value) for key, value in (source.settings.get("nodeLabels") or {}).items()}
