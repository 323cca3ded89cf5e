"""Kubernetes in documents of its own, from Talos 1.14 on; before, it was `cluster` and parts of `machine`.

Certificates and keys stand here as PEM text, not as base64. A worker gets the Kubernetes authority's
certificate and no key, and none of the documents that only a control plane may have (generate/kubernetes.go).
Which manifests a cluster starts with is decided in `platform`.
"""

from collections.abc import Iterator
from typing import Any

from roles import platform
from roles.config_cluster import AUDIT_POLICY, POD_SECURITY
from roles.config_input import DNS_DOMAIN, ConfigInput
from roles.config_machine import KUBEPRISM_PORT, node_labels, reserved
from roles.pki import KeyPair

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_OPEN_PATHS = ("/livez", "/readyz", "/healthz")  # what may be asked without a certificate
_FLANNEL = {"backendType": "vxlan", "backendPort": 4789}


def kubernetes_documents(source: ConfigInput) -> Iterator[dict[str, Any]]:
    """In a fixed order; none for a Talos that has no such documents."""
    if not source.contract.kubernetes_documents:
        return
    yield _document("KubeClusterConfig", clusterName=source.cluster.name, endpoint=source.cluster.endpoint)
    yield _node(source)
    yield _kubelet(source)
    yield _document(
        "KubeNetworkConfig",
        dnsDomain=DNS_DOMAIN,
        podSubnets=[source.pod_cidr],
        serviceSubnets=[source.service_cidr],
    )
    yield _document("KubeAPIServerCAConfig", **_authorities(source))
    yield _document("KubePrismConfig", port=KUBEPRISM_PORT)
    if source.role.control_plane:
        yield from _secrets(source)
        yield from _policies()
        yield from _components(source)


def _document(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1alpha1", "kind": kind, **fields}


def _pair(pair: KeyPair) -> dict[str, str]:
    return {"cert": pair.crt, "key": pair.key}


def _node(source: ConfigInput) -> dict[str, Any]:
    """Here nothing is added by Talos: a control plane's label and taint are written out."""
    control_plane = source.role.control_plane
    labels = ({_CONTROL_PLANE: ""} if control_plane else {}) | node_labels(source)
    taints = {} if source.schedulable else {_CONTROL_PLANE: "NoSchedule"}
    taints |= {key: str(value) for key, value in (source.settings.get("nodeTaints") or {}).items()}
    fields = {"labels": labels, "taints": taints}
    return _document("KubeNodeConfig", **{key: value for key, value in fields.items() if value})


def _kubelet(source: ConfigInput) -> dict[str, Any]:
    return _document(
        "KubeletConfig",
        image=f"ghcr.io/siderolabs/kubelet:v{source.cluster.kubernetes}",
        config={"systemReserved": reserved(source)},
        defaultRuntimeSeccompProfileEnabled=True,
    )


def _authorities(source: ConfigInput) -> dict[str, Any]:
    """A worker accepts the one that issues; it gets no key."""
    k8s, others = source.bundle.k8s, list(source.bundle.accepted.k8s)
    if source.role.control_plane:
        return {"issuingCA": _pair(k8s), **({"acceptedCAs": others} if others else {})}
    return {"acceptedCAs": [k8s.crt, *others]}


def _secrets(source: ConfigInput) -> Iterator[dict[str, Any]]:
    bundle = source.bundle
    others = list(bundle.accepted.k8s_aggregator)
    accepted = {"acceptedCAs": others} if others else {}
    yield _document("KubeAggregatorCAConfig", issuingCA=_pair(bundle.k8s_aggregator), **accepted)
    # The names are those that Talos gave the keys before: what etcd holds says which key opens it.
    keys = (("secretbox", "key2", bundle.secretbox_secret), ("aescbc", "key1", bundle.aescbc_secret))
    providers = [{kind: {"keys": [{"name": name, "secret": key}]}} for kind, name, key in keys if key]
    yield _document(
        "KubeEtcdEncryptionConfig", config={"resources": [{"providers": providers, "resources": ["secrets"]}]}
    )
    issuer = {"privateKey": bundle.k8s_service_account_key, "issuerURL": source.cluster.endpoint}
    yield _document("KubeServiceAccountConfig", issuer=issuer)


def _policies() -> Iterator[dict[str, Any]]:
    yield _document("KubeAdmissionControlConfig", **POD_SECURITY)
    yield _document("KubeAuditPolicyConfig", configuration=AUDIT_POLICY)
    anonymous = {"enabled": True, "conditions": [{"path": path} for path in _OPEN_PATHS]}
    yield _document("KubeAuthenticationConfig", configuration={"anonymous": anonymous, "jwt": []})
    yield _document("KubeAuthorizerConfig", name="node", type="Node")
    yield _document("KubeAuthorizerConfig", name="rbac", type="RBAC")


def _components(source: ConfigInput) -> Iterator[dict[str, Any]]:
    def image(component: str) -> str:
        return f"registry.k8s.io/kube-{component}:v{source.cluster.kubernetes}"

    names = list(dict.fromkeys((source.endpoint_host, *source.cert_sans)))
    yield _document("KubeAPIServerConfig", image=image("apiserver"), certExtraSANs=names)
    yield _document("KubeControllerManagerConfig", image=image("controller-manager"))
    yield _document("KubeSchedulerConfig", image=image("scheduler"))
    disabled = {} if platform.kube_proxy(source.cluster) else {"enabled": False}
    yield _document("KubeProxyConfig", **disabled, image=image("proxy"))
    if not platform.own_cni(source.cluster):
        yield _document("KubeFlannelCNIConfig", **_FLANNEL)
    yield _document("KubeCoreDNSConfig", enabled=True)
    for manifest in source.manifests:
        yield _document("KubeInlineManifestConfig", name=manifest.name, manifest=manifest.contents)
