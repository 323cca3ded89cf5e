"""Where the fields of the main document went in Talos 1.14. Refuses patches of old places; moves nothing.

Talos 1.14 still reads most of the old fields, but not beside the document that took their place, which every
configuration of ours has. So a patch of an old place would be refused by the node; it is refused here, with
the name of the document to patch (Talos config/types, V1Alpha1ConflictValidate).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from inventory.errors import OperatorError
from roles.talos_version import Contract

MOVED: Mapping[str, str] = {
    "machine.baseRuntimeSpecOverrides": "CRIBaseRuntimeSpecConfig",
    "machine.controlPlane": "KubeControllerManagerConfig or KubeSchedulerConfig",
    "machine.disks": "UserVolumeConfig",
    "machine.env": "EnvironmentConfig",
    "machine.features.hostDNS": "ResolverConfig",
    "machine.features.imageCache": "ImageCacheConfig",
    "machine.features.kubePrism": "KubePrismConfig",
    "machine.features.kubernetesTalosAPIAccess": "KubeTalosAPIAccessConfig",
    "machine.files": "EtcFileConfig or CRICustomizationConfig",
    "machine.install": "UnattendedInstallConfig",
    "machine.kernel": "KernelModuleConfig",
    "machine.kubelet": "KubeletConfig or KubeNodeConfig",
    "machine.network": "LinkConfig, ResolverConfig and other network documents",
    "machine.nodeAnnotations": "KubeNodeConfig",
    "machine.nodeLabels": "KubeNodeConfig",
    "machine.nodeTaints": "KubeNodeConfig",
    "machine.pods": "KubeStaticPodConfig",
    "machine.registries": "RegistryMirrorConfig, RegistryAuthConfig or RegistryTLSConfig",
    "machine.sysctls": "SysctlConfig",
    "machine.sysfs": "SysfsConfig",
    "machine.systemDiskEncryption": "VolumeConfig",
    "machine.time": "TimeSyncConfig",
    "machine.udev": "UdevRulesConfig",
    "cluster.acceptedCAs": "KubeAPIServerCAConfig",
    "cluster.aescbcEncryptionSecret": "KubeEtcdEncryptionConfig",
    "cluster.aggregatorCA": "KubeAggregatorCAConfig",
    "cluster.allowSchedulingOnControlPlanes": "KubeNodeConfig (its taints)",
    "cluster.allowSchedulingOnMasters": "KubeNodeConfig (its taints)",
    "cluster.apiServer": "KubeAPIServerConfig, KubeAdmissionControlConfig or KubeAuditPolicyConfig",
    "cluster.ca": "KubeAPIServerCAConfig",
    "cluster.clusterName": "KubeClusterConfig",
    "cluster.controllerManager": "KubeControllerManagerConfig",
    "cluster.controlPlane": "KubeClusterConfig",
    "cluster.coreDNS": "KubeCoreDNSConfig",
    "cluster.discovery": "DiscoveryServiceConfig",
    "cluster.extraManifestHeaders": "KubeExternalManifestConfig",
    "cluster.extraManifests": "KubeExternalManifestConfig",
    "cluster.id": "DiscoveryIdentityConfig",
    "cluster.inlineManifests": "KubeInlineManifestConfig",
    "cluster.network": "KubeNetworkConfig or KubeFlannelCNIConfig",
    "cluster.proxy": "KubeProxyConfig",
    "cluster.scheduler": "KubeSchedulerConfig",
    "cluster.secret": "DiscoveryIdentityConfig",
    "cluster.secretboxEncryptionSecret": "KubeEtcdEncryptionConfig",
    "cluster.serviceAccount": "KubeServiceAccountConfig",
}


def refuse_moved(patches: Iterable[Mapping[str, Any]], contract: Contract, *, where: str) -> None:
    """Raises OperatorError for the first patch of the main document that names a field which has moved."""
    if not contract.kubernetes_documents:
        return
    for number, patch in enumerate(patches, 1):
        for field in moved_fields(_touched(patch)):
            kind = MOVED[field].partition(" ")[0].rstrip(",")
            raise OperatorError(
                f"{field} has moved in Talos {contract.minor}: it is in {MOVED[field]} now",
                where=f"{where}: patch {number}",
                fix=f"patch that document: apiVersion: v1alpha1, kind: {kind}, and its fields",
            )


def moved_fields(main: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a main document that have moved, in the order of the table."""
    for path in MOVED:
        value: Any = main
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            yield path


def _touched(patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a patch says of the main document; an operation of RFC 6902 as the field that it changes."""
    if "kind" in patch:
        return {}
    if "op" not in patch:
        return patch
    value: Any = True
    for key in reversed(str(patch.get("path", "")).strip("/").split("/")):
        value = {key: value}
    return dict(value)
