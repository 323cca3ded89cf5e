"""The keys and document kinds that the lab's Talos knows. Data only; `config` judges by it."""

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TOP = _words("version debug persist machine cluster")
MACHINE = _words(
    """
    type token ca acceptedCAs certSANs controlPlane kubelet pods network disks install files env time
    sysctls sysfs registries systemDiskEncryption features udev logging kernel seccompProfiles
    nodeLabels nodeAnnotations nodeTaints baseRuntimeSpecOverrides
    """
)
CLUSTER = _words(
    """
    id secret controlPlane clusterName network token aescbcEncryptionSecret secretboxEncryptionSecret ca
    acceptedCAs aggregatorCA serviceAccount apiServer controllerManager proxy scheduler discovery etcd
    coreDNS externalCloudProvider extraManifests extraManifestHeaders inlineManifests adminKubeconfig
    allowSchedulingOnControlPlanes allowSchedulingOnMasters
    """
)
INSTALL = _words(
    """
    disk diskSelector extraKernelArgs image extensions bootloader wipe legacyBIOSSupport
    grubUseUKICmdline
    """
)
CNI = ("", "flannel", "custom", "none")
# Kinds of further documents → first minor of Talos 1.x that knows them.
KINDS: Mapping[str, int] = {
    **dict.fromkeys(
        _words(
            """
    EventSinkConfig ExtensionServiceConfig KmsgLogConfig KubeSpanEndpointsConfig
    NetworkDefaultActionConfig NetworkRuleConfig SideroLinkConfig TrustedRootsConfig VolumeConfig
    WatchdogTimerConfig
    """
        ),
        8,
    ),
    **dict.fromkeys(_words("EthernetConfig PCIDriverRebindConfig UserVolumeConfig"), 10),
    **dict.fromkeys(_words("ExistingVolumeConfig RawVolumeConfig SwapVolumeConfig ZswapConfig"), 11),
    **dict.fromkeys(
        _words(
            """
    BondConfig BridgeConfig DHCPv4Config DHCPv6Config DummyLinkConfig HCloudVIPConfig HostnameConfig
    Layer2VIPConfig LinkAliasConfig LinkConfig OOMConfig RegistryAuthConfig RegistryMirrorConfig
    RegistryTLSConfig ResolverConfig StaticHostConfig TimeSyncConfig VLANConfig WireguardConfig
    """
        ),
        12,
    ),
    **dict.fromkeys(
        _words(
            """
    BlackholeRouteConfig EnvironmentConfig ExternalVolumeConfig KubeSpanConfig RoutingRuleConfig
    TCPProbeConfig VRFConfig ImageVerificationConfig
    """
        ),
        13,
    ),
    **dict.fromkeys(
        _words(
            """
    BGPInstanceConfig CRIBaseRuntimeSpecConfig CRICustomizationConfig ContainerConfig
    DiscoveryIdentityConfig DiscoveryServiceConfig EtcFileConfig FilesystemScrubConfig
    FilesystemTrimConfig HTTPProbeConfig ImageCacheConfig KernelModuleConfig KubeAPIServerCAConfig
    KubeAPIServerConfig KubeAdmissionControlConfig KubeAggregatorCAConfig KubeAuditPolicyConfig
    KubeAuthenticationConfig KubeAuthorizerConfig KubeClusterConfig KubeControllerManagerConfig
    KubeCoreDNSConfig KubeCredentialProviderConfig KubeEtcdEncryptionConfig KubeExternalManifestConfig
    KubeFlannelCNIConfig KubeInlineManifestConfig KubeNetworkConfig KubeNodeConfig KubePrismConfig
    KubeProxyConfig KubeSchedulerConfig KubeServiceAccountConfig KubeStaticPodConfig
    KubeTalosAPIAccessConfig KubeletConfig LVMLogicalVolumeConfig LVMVolumeGroupConfig RAIDArrayConfig
    SecurityProfileConfig SysctlConfig SysfsConfig UdevRulesConfig UnattendedInstallConfig VethConfig
    """
        ),
        14,
    ),
}
