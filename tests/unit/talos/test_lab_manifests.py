"""What the lab's Talos makes of inline manifests."""

import pytest
import yaml

from iso.lab.talos import manifests
from iso.lab.talos.cluster import Cluster, Signal
from iso.lab.talos.config import MachineConfig

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"v": "1"}}}


def workload(kind, *, host=True, command=()):
    pod = {"hostNetwork": host, "containers": [{"name": "a", "image": "a/b:c", "command": list(command)}]}
    return {"kind": kind, "metadata": {"name": "n", "namespace": "s"}, "spec": {"template": {"spec": pod}}}


def config(*objects, cni="none", text=None, split=False):
    contents = text if text is not None else yaml.safe_dump_all(objects)
    cluster = {"network": {"cni": {"name": cni}}}
    if not split:
        cluster["inlineManifests"] = [{"name": "m", "contents": contents}]
    documents = [{"kind": "KubeInlineManifestConfig", "name": "m", "manifest": contents}] if split else []
    return MachineConfig(b"", {"cluster": cluster}, tuple(documents))


@pytest.fixture
def cluster():
    return Cluster(Signal())


@pytest.mark.parametrize("split", [False, True])
def test_what_is_missing_is_made_and_what_is_there_is_left_alone(cluster, split):
    assert manifests.apply(cluster, config(NAMESPACE, split=split)) == ""
    changed = {**NAMESPACE, "metadata": {"name": "a", "labels": {"v": "2"}}}
    assert manifests.apply(cluster, config(changed, split=split)) == ""
    assert cluster.objects == {("Namespace", "", "a"): NAMESPACE}
    assert manifests.apply(cluster, config(split=split)) == ""  # nothing is deleted either
    assert cluster.objects


@pytest.mark.parametrize(
    ("item", "connects"),
    [
        (workload("DaemonSet"), True),
        (workload("DaemonSet", host=False), False),  # it would wait for the network that it brings
        (workload("Job", command=["cilium", "install", "--version=1"]), True),
        (workload("Job", command=["cilium", "install"], host=False), False),
        (workload("Job", command=["sh"]), False),
        (NAMESPACE, False),
    ],
)
def test_a_pod_network_comes_of_some_objects(cluster, item, connects):
    manifests.apply(cluster, config(item))
    assert cluster.network is connects


def test_flannel_is_there_without_a_manifest(cluster):
    manifests.apply(cluster, config(cni="flannel"))
    assert cluster.network


@pytest.mark.parametrize("text", ["a: [", "just text", "kind: Pod", "- 1"])
def test_a_wrong_manifest_is_told_and_nothing_of_it_made(cluster, text):
    assert manifests.apply(cluster, config(text=text))
    assert cluster.objects == {}
    assert not cluster.network


def test_an_installer_leaves_its_agents(cluster):
    manifests.apply(cluster, config(workload("Job", command=["cilium", "install"])))
    [item] = manifests.daemon_sets(cluster, "kube-system")["items"]
    assert item["metadata"]["name"] == "cilium"
    assert manifests.daemon_sets(cluster, "default")["items"] == []
