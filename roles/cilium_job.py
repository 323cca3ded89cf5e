"""The job that installs Cilium by its official command line tool, once, on a cluster that has no pod network
yet. Written by us: it holds no part of Cilium's chart.

It runs on a control plane's own network and reaches the API at KubePrism, since pods have no network and
services no addresses before it is done. Its name stays the same for every version: a new version in the site
file must not replace the pod network of a running cluster behind everybody's back.
"""

from collections.abc import Mapping
from typing import Any

IMAGE = "quay.io/cilium/cilium-cli:v0.18.7"
NAMESPACE, NAME = "kube-system", "cilium-install"
KUBEPRISM_HOST, KUBEPRISM_PORT = "localhost", 7445

# As Cilium's defaults, but without SYS_MODULE: Talos lets no pod load kernel modules.
_AGENT = "CHOWN,KILL,NET_ADMIN,NET_RAW,IPC_LOCK,SYS_ADMIN,SYS_RESOURCE,DAC_OVERRIDE,FOWNER,SETGID,SETUID"
_CLEANER = "NET_ADMIN,SYS_ADMIN,SYS_RESOURCE"
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def images(version: str) -> tuple[str, ...]:
    """What the chart's own pods run. Envoy's image is missing: its tag is known to the chart only."""
    return (f"quay.io/cilium/cilium:v{version}", f"quay.io/cilium/operator-generic:v{version}")


def objects(
    version: str, image: str, *, replace_kube_proxy: bool, values: Mapping[str, str], proxy: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The account, its rights (only an administrator can make a chart's cluster roles), and the job."""
    account = {"name": NAME, "namespace": NAMESPACE}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }
    command = ["cilium", "install", f"--version={version}"]
    command += [f"--set={key}={value}" for key, value in (_values(replace_kube_proxy) | dict(values)).items()]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": dict(account),
        # Kept when it is done: Talos would make a missing job again, and so run it again.
        "spec": {"backoffLimit": 20, "template": {"spec": _pod(image, command, proxy)}},
    }
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(account)}, binding, job]


def _values(replace_kube_proxy: bool) -> dict[str, str]:
    """What Talos needs of the chart; the cgroup file system is mounted by Talos already."""
    return {
        "ipam.mode": "kubernetes",
        "kubeProxyReplacement": str(replace_kube_proxy).lower(),
        "securityContext.capabilities.ciliumAgent": "{" + _AGENT + "}",
        "securityContext.capabilities.cleanCiliumState": "{" + _CLEANER + "}",
        "cgroup.autoMount.enabled": "false",
        "cgroup.hostRoot": "/sys/fs/cgroup",
        "k8sServiceHost": KUBEPRISM_HOST,
        "k8sServicePort": str(KUBEPRISM_PORT),
    }


def _pod(image: str, command: list[str], proxy: Mapping[str, str]) -> dict[str, Any]:
    where = {"key": _CONTROL_PLANE, "operator": "Exists"}
    required = {"nodeSelectorTerms": [{"matchExpressions": [where]}]}
    variables = {
        "KUBERNETES_SERVICE_HOST": KUBEPRISM_HOST,
        "KUBERNETES_SERVICE_PORT": str(KUBEPRISM_PORT),
        **{name.upper(): value for name, value in proxy.items()},
    }
    container = {
        "name": NAME,
        "image": image,
        "command": command,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "serviceAccountName": NAME,
        "restartPolicy": "OnFailure",
        "hostNetwork": True,
        "dnsPolicy": "Default",  # the node's resolver: the cluster's needs the pod network
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}],  # no node is ready before it has run
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "containers": [container],
    }
