"""Answers of a Kubernetes API that are not what they should be: read as far as they go, never a crash."""

from hypothesis import given
from hypothesis import strategies as st

from controller.adapters import kube_work
from controller.app.kube_port import KubeNode, Lease, Pod

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
KEYS = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "conditions",
        "containers",
        "ownerReferences",
        "labels",
        "annotations",
        "name",
        "type",
        "image",
        "kind",
        "controller",
        "nodeInfo",
        "renewTime",
        "leaseDurationSeconds",
        "holderIdentity",
        "unschedulable",
    ]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_read_as_a_node_a_pod_and_a_lease(item):
    assert isinstance(kube_work._node(item), KubeNode)
    assert isinstance(kube_work._pod(item), Pod)
    assert isinstance(kube_work._lease(item), Lease)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_document_or_a_message(data):
    found = kube_work._document(data, "cluster", strict=False)
    assert isinstance(found, dict)


def test_what_a_pod_says_of_itself():
    item = {
        "metadata": {
            "namespace": "kube-system", "name": "kube-apiserver-cp", "uid": "u",
            "annotations": {"kubernetes.io/config.mirror": "x"},
            "ownerReferences": [{"kind": "Node", "controller": True}],
        },
        "spec": {"nodeName": "cp", "containers": [{"name": "kube-apiserver", "image": "r/kube-apiserver:v1.36.3"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip
    images = {"kube-apiserver": "r/kube-apiserver:v1.36.3"}
    wanted = Pod("kube-system", "kube-apiserver-cp", "u", "cp", "Running", True, "Node", True, images=images)
    assert kube_work._pod(item) == wanted
