"""Cordon, pods, evictions under a disruption budget and the lease, against the lab's Kubernetes API."""

import asyncio

import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from controller.adapters.kube import KubernetesApi
from controller.app.kube_port import Lease
from inventory.errors import NodeError, Unreachable
from tests.contract.kube_cluster import admin, running_plane

APPS = "apps"


@pytest.fixture
async def plane(site):
    return await running_plane(site)


def objects(config: bytes, *, budget: int) -> None:
    """Two pods of one ReplicaSet, and a budget that wants `budget` of them."""
    api = new_client_from_config_dict(yaml.safe_load(config))
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    for number in (1, 2):
        metadata = {"name": f"web-{number}", "labels": {"app": "web"}, "ownerReferences": [owner]}
        spec = {"nodeName": "cp", "containers": [{"name": "web", "image": "web:1"}]}
        client.CoreV1Api(api).create_namespaced_pod(APPS, {"metadata": metadata, "spec": spec})
    selector = {"matchLabels": {"app": "web"}}
    body = {"metadata": {"name": "web"}, "spec": {"minAvailable": budget, "selector": selector}}
    client.PolicyV1Api(api).create_namespaced_pod_disruption_budget(APPS, body)
    api.close()


async def test_a_node_is_cordoned_and_back(plane):
    kube = KubernetesApi()
    await kube.cordon(admin(plane), "cp", on=True)
    [node] = await kube.node_states(admin(plane))
    assert (node.name, node.ready, node.unschedulable) == ("cp", True, True)
    await kube.cordon(admin(plane), "cp", on=False)
    assert [one.unschedulable for one in await kube.node_states(admin(plane))] == [False]
    with pytest.raises(NodeError, match="404"):
        await kube.cordon(admin(plane), "nobody", on=True)


async def test_both_ways_of_asking_for_nodes_say_the_same(plane):
    kube = KubernetesApi()
    assert await kube.node_states(admin(plane)) == await kube.nodes(admin(plane))


async def test_static_pods_tell_the_version_of_a_control_plane(plane):
    pods = await KubernetesApi().pods(admin(plane), node="cp", namespace="kube-system")
    static = {name: image for pod in pods if pod.mirror for name, image in pod.images.items()}
    assert set(static) == {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    assert len({image.rpartition(":")[2] for image in static.values()}) == 1
    assert all(pod.ready for pod in pods if pod.mirror)


async def test_an_eviction_honours_the_budget(plane):
    kube, config = KubernetesApi(), admin(plane)
    await asyncio.to_thread(objects, config, budget=2)
    [pod, _] = await kube.pods(config, namespace=APPS)
    assert (pod.controller, pod.mirror, pod.ready) == ("ReplicaSet", False, True)
    assert "disruption budget" in await kube.evict(config, pod)
    assert len(await kube.pods(config, namespace=APPS)) == 2


async def test_a_dry_run_moves_nothing_and_a_pod_that_is_gone_is_no_error(plane):
    kube, config = KubernetesApi(), admin(plane)
    await asyncio.to_thread(objects, config, budget=1)
    [pod, _] = await kube.pods(config, namespace=APPS)
    assert await kube.evict(config, pod, dry_run=True) == ""
    assert pod in await kube.pods(config, namespace=APPS)
    assert await kube.evict(config, pod) == ""
    assert pod.name not in {one.name for one in await kube.pods(config, namespace=APPS)}
    assert await kube.evict(config, pod) == ""


async def test_one_of_two_who_take_the_lease_at_once_gets_it(plane):
    kube, config = KubernetesApi(), admin(plane)
    assert await kube.lease(config, "kube-system", "turn") == Lease()

    async def take(holder: str, seen: Lease) -> bool:
        return await kube.hold_lease(config, "kube-system", "turn", holder, now=1e9, seconds=60, seen=seen)

    assert sorted([await take("one", Lease()), await take("two", Lease())]) == [False, True]
    held = await kube.lease(config, "kube-system", "turn")
    assert (held.holder, held.until) == ("one", 1e9 + 60)
    assert sorted([await take("one", held), await take("two", held)]) == [False, True]
    given = await kube.lease(config, "kube-system", "turn")
    assert await take("", given)
    assert (await kube.lease(config, "kube-system", "turn")).holder == ""


async def test_an_api_server_that_is_away_is_unreachable(plane):
    config = admin(plane)
    await plane.instance.stop()
    with pytest.raises(Unreachable):
        await KubernetesApi().node_states(config)
