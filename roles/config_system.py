"""What had its place in `machine` up to Talos 1.13 and has documents since 1.14: disk, discovery, kernel.

The order and the security defaults are those of Talos's own generator (generate/init.go). Kubernetes is in
`config_kubernetes`; host name, links, DNS, time and registries are in `config_documents`.
"""

import json
from collections.abc import Iterator
from typing import Any

from roles.config_input import ConfigInput
from roles.config_machine import kernel_modules, sysctls

DISCOVERY_SERVICE = "https://discovery.talos.dev/"
TRIM_INTERVAL = "168h0m0s"  # once a week, as Go writes it
_UDEV_LINKS = "/dev/disk/"


def system_documents(source: ConfigInput) -> Iterator[dict[str, Any]]:
    """In a fixed order; none for a Talos that has no such documents."""
    if not source.contract.kubernetes_documents:
        return
    yield from _discovery(source)
    yield _install(source)
    yield _document("VolumeConfig", name="EPHEMERAL", mount={"secure": True})
    yield _document("FilesystemTrimConfig", interval=TRIM_INTERVAL)
    yield _document("SecurityProfileConfig", workloadIsolation=True)
    yield from _kernel(source)
    for feature in source.features:
        for name in feature.volumes:
            yield _document("UserVolumeConfig", name=name, volumeType="directory")


def disk_selector(path: str) -> str:
    """The CEL expression that finds the disk of this path: a link that udev made, or the device itself."""
    quoted = json.dumps(path, ensure_ascii=False)  # a JSON string is a CEL string too
    return f"{quoted} in disk.symlinks" if path.startswith(_UDEV_LINKS) else f"disk.dev_path == {quoted}"


def _document(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1alpha1", "kind": kind, **fields}


def _discovery(source: ConfigInput) -> Iterator[dict[str, Any]]:
    """Who the cluster is, always; the service that tells members of each other, unless it is off."""
    if source.cluster.settings.get("discovery") is not False:
        yield _document("DiscoveryServiceConfig", name="default", endpoint=DISCOVERY_SERVICE)
    bundle = source.bundle
    yield _document(
        "DiscoveryIdentityConfig", clusterID=bundle.cluster_id, clusterSecret=bundle.cluster_secret
    )


def _install(source: ConfigInput) -> dict[str, Any]:
    return _document(
        "UnattendedInstallConfig",
        installer={"image": source.installer},
        provisioning={"diskSelector": {"match": disk_selector(source.install_disk)}, "wipe": False},
    )


def _kernel(source: ConfigInput) -> Iterator[dict[str, Any]]:
    parameters = sysctls(source)
    if parameters:
        yield _document("SysctlConfig", params=parameters)
    for module in kernel_modules(source):
        yield _document("KernelModuleConfig", **module)
