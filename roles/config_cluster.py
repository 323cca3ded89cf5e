"""The `cluster` section of the main document: what the nodes of a cluster share. No node-specific values.
From Talos 1.14 on it is nearly empty: see `config_kubernetes`.

Control planes carry the cluster's keys; workers get its id, its tokens and the Kubernetes CA's certificate.
"""

from typing import Any

from roles import platform
from roles.authorities import legacy_field
from roles.config_input import DNS_DOMAIN, ConfigInput
from roles.pki import KeyPair
from roles.secrets import b64

POD_SECURITY = {
    "name": "PodSecurity",
    "configuration": {
        "apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
        "kind": "PodSecurityConfiguration",
        "defaults": {
            "enforce": "baseline",
            "enforce-version": "latest",
            "audit": "restricted",
            "audit-version": "latest",
            "warn": "restricted",
            "warn-version": "latest",
        },
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
    },
}
AUDIT_POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}


def cluster_section(source: ConfigInput) -> dict[str, Any]:
    """In the order of Talos's own generator."""
    bundle, control_plane = source.bundle, source.role.control_plane
    if source.contract.kubernetes_documents:
        etcd = {"etcd": {"ca": _pair(bundle.etcd)}} if control_plane else {}
        return {"token": bundle.bootstrap_token, **etcd}
    section: dict[str, Any] = {
        "id": bundle.cluster_id,
        "secret": bundle.cluster_secret,
        "controlPlane": {"endpoint": source.cluster.endpoint},
        "clusterName": source.cluster.name,
        "network": _network(source),
        "token": bundle.bootstrap_token,
        "ca": _pair(bundle.k8s) if control_plane else {"crt": b64(bundle.k8s.crt), "key": ""},
        **legacy_field(bundle.accepted.k8s),
        "discovery": _discovery(source),
    }
    return section | (_control_plane(source) if control_plane else {})


def _control_plane(source: ConfigInput) -> dict[str, Any]:
    """What only a control plane has."""
    bundle, version = source.bundle, source.cluster.kubernetes
    encryption = {
        "secretboxEncryptionSecret": bundle.secretbox_secret,
        "aescbcEncryptionSecret": bundle.aescbc_secret,
    }
    section: dict[str, Any] = {key: value for key, value in encryption.items() if value}
    section |= {
        "aggregatorCA": _pair(bundle.k8s_aggregator),
        "serviceAccount": {"key": b64(bundle.k8s_service_account_key)},
        "apiServer": {
            "image": f"registry.k8s.io/kube-apiserver:v{version}",
            "certSANs": list(dict.fromkeys((source.endpoint_host, *source.cert_sans))),
            **({"disablePodSecurityPolicy": True} if source.contract.explicit_features else {}),
            "admissionControl": [POD_SECURITY],
            "auditPolicy": AUDIT_POLICY,
        },
        "controllerManager": {"image": f"registry.k8s.io/kube-controller-manager:v{version}"},
        "proxy": _proxy(source),
        "scheduler": {"image": f"registry.k8s.io/kube-scheduler:v{version}"},
        "etcd": {"ca": _pair(bundle.etcd)},
    }
    if source.manifests:
        section["inlineManifests"] = [{"name": m.name, "contents": m.contents} for m in source.manifests]
    return section | ({"allowSchedulingOnControlPlanes": True} if source.schedulable else {})


def _proxy(source: ConfigInput) -> dict[str, Any]:
    """kube-proxy, unless something else does its work (Cilium without kube-proxy)."""
    image = {"image": f"registry.k8s.io/kube-proxy:v{source.cluster.kubernetes}"}
    return image if platform.kube_proxy(source.cluster) else {"disabled": True, **image}


def _network(source: ConfigInput) -> dict[str, Any]:
    cni = {"cni": {"name": "none"}} if platform.own_cni(source.cluster) else {}
    return {
        "dnsDomain": DNS_DOMAIN,
        "podSubnets": [source.pod_cidr],
        "serviceSubnets": [source.service_cidr],
        **cni,
    }


def _discovery(source: ConfigInput) -> dict[str, Any]:
    if source.cluster.settings.get("discovery") is False:
        return {"enabled": False}
    # The Kubernetes registry is deprecated and refused by current Kubernetes versions.
    return {"enabled": True, "registries": {"kubernetes": {"disabled": True}}}


def _pair(pair: KeyPair) -> dict[str, str]:
    return {"crt": b64(pair.crt), "key": b64(pair.key)}
