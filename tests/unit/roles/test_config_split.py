"""Configurations of Talos 1.14: one document per matter, no field in its old place, keys only where they belong."""

from typing import Any

import pytest
import yaml

from facts.hardware import load_profiles
from inventory.errors import OperatorError
from roles.config_check import problems
from roles.config_known import kinds
from roles.config_moved import MOVED, moved_fields
from roles.config_system import disk_selector
from roles.redaction import redact
from roles.talos_version import CONTRACTS
from tests.contract.talos import matrix

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NO_LOAD_BALANCER = "node.kubernetes.io/exclude-from-external-load-balancers"


def parts(
    role: str = "controlplane", features: str = "plain", **more: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The main document, and the others by kind (the last one of each)."""
    main, *others = yaml.safe_load_all(matrix.render("1.14", role, features=features, **more))
    return main, {document["kind"]: document for document in others}


@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
def test_the_main_document_says_who_the_node_is(role: str) -> None:
    main, _ = parts(role, "much")
    assert set(main) == {"version", "machine", "cluster"}
    assert set(main["machine"]) == {"type", "token", "ca", "certSANs", "features"}
    assert main["machine"]["features"] == {"diskQuotaSupport": True}
    assert set(main["cluster"]) == {"token"} | ({"etcd"} if role != "worker" else set())
    assert list(moved_fields(main)) == []


def test_a_worker_gets_no_key() -> None:
    bundle = matrix.bundle()
    text = matrix.render("1.14", "worker", "static", "much")
    for secret in (
        bundle.k8s.key,
        bundle.k8s_aggregator.key,
        bundle.k8s_service_account_key,
        bundle.etcd.key,
    ):
        assert secret.splitlines()[1] not in text
    assert bundle.secretbox_secret not in text
    assert parts("worker")[1]["KubeAPIServerCAConfig"] == {
        "apiVersion": "v1alpha1", "kind": "KubeAPIServerCAConfig", "acceptedCAs": [bundle.k8s.crt],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "labels", "taints"),
    [
        ("controlplane", {CONTROL_PLANE: "", NO_LOAD_BALANCER: ""}, {CONTROL_PLANE: "NoSchedule"}),
        ("appliance", {CONTROL_PLANE: ""}, {}),
        ("worker", {}, {}),
    ],
)
def test_labels_and_taints_are_written_out(role: str, labels: dict[str, str], taints: dict[str, str]) -> None:
    node = parts(role)[1]["KubeNodeConfig"]
    assert (node.get("labels", {}), node.get("taints", {})) == (labels, taints)
    node = parts(role, "much")[1]["KubeNodeConfig"]
    assert node["labels"] == labels | {"rack": "1"}
    assert node["taints"] == taints | {"gpu": "yes:NoSchedule"}


def test_what_a_cluster_leaves_to_others() -> None:
    _, plain = parts()
    _, apart = parts(features="apart")
    assert plain["KubeFlannelCNIConfig"]["backendType"] == "vxlan"
    assert "KubeFlannelCNIConfig" not in apart
    assert "enabled" not in plain["KubeProxyConfig"]
    assert apart["KubeProxyConfig"]["enabled"] is False
    assert "DiscoveryServiceConfig" in plain
    assert "DiscoveryServiceConfig" not in apart
    assert apart["DiscoveryIdentityConfig"]["clusterID"] == matrix.bundle().cluster_id
    assert apart["TimeSyncConfig"]["enabled"] is False
    assert "api.example" in apart["KubeAPIServerConfig"]["certExtraSANs"]


def test_features_and_kernel() -> None:
    _, found = parts("worker", "much", profile=load_profiles()[0])
    assert found["UserVolumeConfig"] == {
        "apiVersion": "v1alpha1", "kind": "UserVolumeConfig", "name": "longhorn", "volumeType": "directory",
    }  # fmt: skip
    assert found["SysctlConfig"]["params"]["vm.max_map_count"] == "262144"
    assert found["KernelModuleConfig"] == {
        "apiVersion": "v1alpha1", "kind": "KernelModuleConfig", "name": "dm_thin_pool", "parameters": ["a=1"],
    }  # fmt: skip
    assert found["KubeletConfig"]["config"]["systemReserved"]["memory"] == "1024Mi"
    assert found["ResolverConfig"]["hostDNS"] == {"enabled": True, "forwardKubeDNSToHost": True}
    assert found["ResolverConfig"]["searchDomains"] == {"domains": ["a.example"]}
    assert found["UnattendedInstallConfig"]["provisioning"]["wipe"] is False


@pytest.mark.parametrize(
    ("path", "expression"),
    [
        ("/dev/nvme0n1", 'disk.dev_path == "/dev/nvme0n1"'),
        ("/dev/disk/by-id/nvme-eui.1", '"/dev/disk/by-id/nvme-eui.1" in disk.symlinks'),
        ('/dev/disk/by-id/a"b\\', '"/dev/disk/by-id/a\\"b\\\\" in disk.symlinks'),
    ],
)
def test_the_disk_as_an_expression(path: str, expression: str) -> None:
    assert disk_selector(path) == expression


@pytest.mark.parametrize(
    ("patch", "field", "kind"),
    [
        ({"machine": {"sysctls": {"a": "1"}}}, "machine.sysctls", "SysctlConfig"),
        ({"cluster": {"apiServer": {"certSANs": ["a"]}}}, "cluster.apiServer", "KubeAPIServerConfig"),
        ({"machine": {"features": {"hostDNS": {}}}}, "machine.features.hostDNS", "ResolverConfig"),
        (
            {"op": "add", "path": "/machine/kubelet/extraConfig", "value": 1},
            "machine.kubelet",
            "KubeletConfig",
        ),
    ],
)
def test_a_patch_of_an_old_place_names_the_new_one(patch: dict[str, Any], field: str, kind: str) -> None:
    with pytest.raises(OperatorError, match=f"^node kn-1: patch 1: {field} has moved") as caught:
        matrix.render("1.14", "controlplane", patches=(patch,))
    assert f"kind: {kind}" in caught.value.fix
    if "op" not in patch:
        assert matrix.render("1.13", "controlplane", patches=(patch,))


def test_patches_of_documents_and_of_what_stayed() -> None:
    patches = (
        {"machine": {"certSANs": ["x.example"], "features": {"nodeAddressSortAlgorithm": "v2"}}},
        {"op": "add", "path": "/machine/certSANs/-", "value": "y.example"},
        {"op": "replace", "path": "/port", "value": 7446, "kind": "KubePrismConfig"},
        {"apiVersion": "v1alpha1", "kind": "KubeNetworkConfig", "podSubnets": ["10.9.0.0/16"]},
        {"apiVersion": "v1alpha1", "kind": "SecurityProfileConfig", "$patch": "delete"},
    )
    main, found = parts(patches=patches)
    assert main["machine"]["certSANs"][-2:] == ["x.example", "y.example"]
    assert found["KubePrismConfig"]["port"] == 7446
    assert found["KubeNetworkConfig"]["podSubnets"] == ["10.9.0.0/16"]
    assert "SecurityProfileConfig" not in found


def test_search_domains_are_replaced_from_1_14_on() -> None:
    patch = {"apiVersion": "v1alpha1", "kind": "ResolverConfig", "searchDomains": {"domains": ["b.example"]}}
    for minor, domains in (("1.13", ["a.example", "b.example"]), ("1.14", ["b.example"])):
        text = matrix.render(minor, "worker", features="much", patches=(patch,))
        [found] = [d for d in yaml.safe_load_all(text) if d.get("kind") == "ResolverConfig"]
        assert found["searchDomains"]["domains"] == domains


def test_every_moved_field_names_kinds_that_exist() -> None:
    for names in MOVED.values():
        named = {word.strip(",()") for word in names.split() if word[0].isupper()}
        assert named
        assert named <= kinds().keys(), names


@pytest.mark.parametrize(
    ("role", "old", "new", "what"),
    [
        ("worker", "kind: KubeClusterConfig", "kind: KubePrismConfig", "KubeClusterConfig is missing"),
        ("worker", "https://10.0.0.10", "http://10.0.0.10", "no https:// address"),
        ("worker", "kind: KubePrismConfig", "kind: KubeSchedulerConfig", "for control planes only"),
        ("worker", "    token:", "    sysctls: {a: b}\n    token:", "machine.sysctls has moved"),
        ("worker", "        match:", "        mutch:", "diskSelector.match is missing"),
        ("controlplane", f"    {CONTROL_PLANE}: ''\n    node.kube", "    node.kube", "lacks the label"),
    ],
)
def test_what_is_wrong_is_said(role: str, old: str, new: str, what: str) -> None:
    good = matrix.render("1.14", role)
    assert problems(good, CONTRACTS["1.14"]) == []
    assert old in good
    assert any(what in said for said in problems(good.replace(old, new, 1), CONTRACTS["1.14"]))


def test_a_control_plane_without_its_keys() -> None:
    main, *others = yaml.safe_load_all(matrix.render("1.14", "controlplane"))
    authority = next(d for d in others if d["kind"] == "KubeAPIServerCAConfig")
    del authority["issuingCA"]["key"]
    said = problems(yaml.safe_dump_all([main, *others]), CONTRACTS["1.14"])
    assert said == ["KubeAPIServerCAConfig.issuingCA.key is missing on a control plane"]


def test_nothing_secret_is_shown() -> None:
    bundle = matrix.bundle()
    shown = redact(matrix.render("1.14", "controlplane", "static", "much"))
    for pair in (bundle.os, bundle.etcd, bundle.k8s, bundle.k8s_aggregator):
        assert pair.key.splitlines()[1] not in shown
    for secret in (
        bundle.k8s_service_account_key.splitlines()[1],
        bundle.secretbox_secret,
        bundle.cluster_secret,
        bundle.bootstrap_token,
        bundle.trustd_token,
        "PRIVATE KEY",
    ):
        assert secret not in shown
