"""Other image tags in a machine configuration: those of the hop, and nothing else."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.app.upgrade.kubernetes import with_version
from controller.core.rollout.model import HopKind
from inventory.errors import OperatorError

OLD = """version: v1alpha1
machine:
    type: controlplane
    kubelet: {image: "mirror.example:5000/siderolabs/kubelet:v1.35.4"}
cluster:
    apiServer: {image: "registry.k8s.io/kube-apiserver:v1.35.4@sha256:0123", certSANs: [a]}
    controllerManager: {image: "registry.k8s.io/kube-controller-manager:v1.35.4"}
    scheduler: {}
    proxy: {disabled: true}
---
apiVersion: v1alpha1
kind: HostnameConfig
hostname: cp-1
"""
NEW = """version: v1alpha1
machine: {type: worker}
cluster: {}
---
apiVersion: v1alpha1
kind: KubeletConfig
image: ghcr.io/siderolabs/kubelet:v1.36.3
---
apiVersion: v1alpha1
kind: KubeAPIServerConfig
image: registry.k8s.io/kube-apiserver:v1.36.3
"""


def test_a_control_plane_gets_its_components_and_keeps_its_kubelet():
    main, other = yaml.safe_load_all(with_version(OLD, HopKind.CONTROL_PLANE, "1.35.5"))
    cluster = main["cluster"]
    assert cluster["apiServer"] == {"image": "registry.k8s.io/kube-apiserver:v1.35.5", "certSANs": ["a"]}
    assert cluster["controllerManager"]["image"] == "registry.k8s.io/kube-controller-manager:v1.35.5"
    assert cluster["scheduler"]["image"] == "registry.k8s.io/kube-scheduler:v1.35.5"
    assert cluster["proxy"] == {"disabled": True}
    assert main["machine"]["kubelet"]["image"].endswith("kubelet:v1.35.4")
    assert other["hostname"] == "cp-1"


def test_a_kubelet_stays_on_its_mirror():
    main, _ = yaml.safe_load_all(with_version(OLD, HopKind.KUBELET, "1.35.5"))
    assert main["machine"]["kubelet"]["image"] == "mirror.example:5000/siderolabs/kubelet:v1.35.5"
    assert main["cluster"]["apiServer"]["image"].endswith(":v1.35.4@sha256:0123")


def test_from_1_14_on_they_stand_in_documents_of_their_own():
    documents = list(yaml.safe_load_all(with_version(NEW, HopKind.KUBELET, "1.37.0")))
    kinds = {one.get("kind", ""): one for one in documents}
    assert kinds["KubeletConfig"]["image"] == "ghcr.io/siderolabs/kubelet:v1.37.0"
    assert "kubelet" not in documents[0]["machine"]
    planes = list(yaml.safe_load_all(with_version(NEW, HopKind.CONTROL_PLANE, "1.37.0")))
    assert planes[2]["image"] == "registry.k8s.io/kube-apiserver:v1.37.0"


@given(st.integers(30, 37), st.integers(0, 20), st.sampled_from([HopKind.CONTROL_PLANE, HopKind.KUBELET]))
def test_what_is_there_already_is_left_byte_for_byte(minor, patch, kind):
    once = with_version(OLD, kind, f"1.{minor}.{patch}")
    assert with_version(once, kind, f"1.{minor}.{patch}") == once


@pytest.mark.parametrize("text", ["secret: {", "secret: &a [*a]", "secret: \x00"])
def test_a_configuration_that_is_none_is_refused_without_quoting_it(text):
    with pytest.raises(OperatorError, match="not YAML") as refused:
        with_version(text, HopKind.KUBELET, "1.35.5")
    assert "secret" not in str(refused.value)
