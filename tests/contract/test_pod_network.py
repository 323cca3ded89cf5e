"""A rendered cluster gets its pod network by its own manifests in the lab, and without one stays not ready."""

import asyncio
from types import SimpleNamespace

import pytest

from controller.adapters.kube import KubernetesApi
from controller.adapters.talos import GrpcTalosApi
from controller.app.steps.cluster import _pod_network
from inventory.fleet import Cluster
from roles.platform import InlineManifest
from tests.contract.talos_lab import bundle, identity, write_image
from tests.contract.test_rendered_configuration import VERSIONS, rendered

ARGOCD = {"argocd": {"version": "3.1.8"}}
CILIUM = {"cni": "cilium", "cilium": {"version": "1.18.2"}}


async def started(site, machine, secrets, talos, settings):
    text = rendered(machine, secrets, talos, "appliance", cluster_settings=settings)
    write_image(machine.disk, config=text, tag=f"v{talos}")
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    return GrpcTalosApi().connect(machine.address, 50000, identity(secrets), server_name=machine.address)


@pytest.mark.parametrize("talos", VERSIONS)
async def test_cilium_makes_the_nodes_ready(site, talos):
    secrets, machine = bundle(), site.machine("kn-1")
    async with await started(site, machine, secrets, talos, CILIUM) as node:
        await node.bootstrap()
        await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())
        assert (await node.machine_status()).ready
    assert ("Job", "kube-system", "cilium-install") in machine.instance.cluster.objects


async def test_without_a_pod_network_the_node_says_what_is_missing(site):
    secrets, machine = bundle(), site.machine("kn-1")
    async with await started(site, machine, secrets, "1.13.9", {"cni": "none"}) as node:
        await node.bootstrap()
        await site.until(lambda: machine.instance.stage == "running")
        status = await node.machine_status()
        assert not status.ready
        assert "is not ready" in "; ".join(status.unmet)
        kubeconfig = await node.kubeconfig()
        async with asyncio.timeout(20):
            [found] = await KubernetesApi().nodes(kubeconfig)
        assert not found.ready
        # What the operator then installs by their own tools is enough.
        machine.instance.cluster.network = True
        machine.instance.shared.signal.fire()
        await site.until(lambda: not machine.instance.unmet())


async def test_a_manifest_that_came_later_is_applied_too(site):
    secrets, machine = bundle(), site.machine("kn-1")
    async with await started(site, machine, secrets, "1.13.9", {"cni": "none"}) as node:
        await node.bootstrap()
        await site.until(lambda: machine.instance.stage == "running")
        assert machine.instance.unmet()
        await node.apply_configuration(rendered(machine, secrets, "1.13.9", "appliance", None, CILIUM))
        await site.until(lambda: not machine.instance.unmet())
        status = await node.machine_status()
        assert (status.ready, status.unmet) == (True, ())


@pytest.mark.parametrize(("settings", "agent"), [(CILIUM, "cilium"), ({}, "kube-flannel")])
async def test_which_network_it_is_shows_in_kubernetes(site, settings, agent):
    """What verifying a cluster goes by: nodes may be Ready by another network than the declared one."""
    secrets, machine = bundle(), site.machine("kn-1")
    async with await started(site, machine, secrets, "1.13.9", settings) as node:
        await node.bootstrap()
        await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())
        kubeconfig = await node.kubeconfig()
    kube = KubernetesApi()
    assert await kube.daemon_sets(kubeconfig, "kube-system") == {agent: (1, 1)}

    declared = Cluster("kn", "kn", "https://a:6443", "1.36.3", ("kn-1",), settings=CILIUM)
    job = SimpleNamespace(cluster=declared, services=SimpleNamespace(kube=kube))
    problem = await _pod_network(job, kubeconfig, "", 0)
    assert ("not Cilium" in problem) is (agent != "cilium")
    machine.instance.kubelet.node.ready = False
    if agent == "cilium":
        assert await _pod_network(job, kubeconfig, "", 0) == "Cilium is ready on 0 of 1 node"


async def test_a_configuration_with_a_big_manifest_gets_through_the_api(site):
    """As big as Argo CD's: more than gRPC takes where nothing else is said (4 MiB)."""
    secrets, machine = bundle(), site.machine("kn-1")
    text = "".join(f"# {number:060d}\n" for number in range(80_000))
    carried = InlineManifest("argocd", f"{text}apiVersion: v1\nkind: Namespace\nmetadata:\n  name: big\n")
    async with await started(site, machine, secrets, "1.13.9", {}) as node:
        await node.bootstrap()
        await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())
        big = rendered(machine, secrets, "1.13.9", "appliance", None, ARGOCD, files={"argocd": carried})
        assert 5 << 20 < len(big) < 15 << 20
        await node.apply_configuration(big)
        await site.until(lambda: ("Namespace", "", "big") in machine.instance.cluster.objects)
