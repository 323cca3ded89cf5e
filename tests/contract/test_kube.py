"""The lab's Kubernetes API as the official client sees it, and our adapter where the API says no."""

import asyncio
import json

import pytest
import yaml
from kubernetes import client, dynamic
from kubernetes.config import new_client_from_config_dict

from controller.adapters.kube import KubernetesApi
from inventory.errors import NodeError, OperatorError, Unreachable
from iso.lab.talos import pki
from iso.lab.talos.pki import Pair
from tests.contract.talos_lab import KUBE_PORT, bundle, config, now, write_image


@pytest.fixture
def secrets():
    return bundle()


@pytest.fixture
async def cluster(site, secrets):
    machine = site.machine("cp")
    write_image(
        machine.disk, config=config(secrets, hostname="cp", endpoint=f"https://{machine.address}:{KUBE_PORT}")
    )
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    machine.instance.etcd.bootstrap()
    await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())
    return machine


def kubeconfig(machine, secrets, *groups):
    admin = pki.issue(
        Pair(secrets.k8s.crt, secrets.k8s.key),
        now=now(),
        common_name="admin",
        organizations=groups,
        client=True,
    )
    return pki.kubeconfig(machine.instance.config, admin)


async def test_the_official_client_lists_and_cordons(cluster, secrets):
    api = new_client_from_config_dict(yaml.safe_load(kubeconfig(cluster, secrets, "system:masters")))
    core = client.CoreV1Api(api)

    def work():
        [node] = core.list_node().items
        core.patch_node("cp", {"spec": {"unschedulable": True}})
        after = core.read_node("cp")
        code = client.VersionApi(api).get_code()
        with pytest.raises(client.ApiException) as missing:
            core.read_node("nobody")
        api.close()
        return node, after, code, missing.value.status

    node, after, code, missing = await asyncio.to_thread(work)
    assert node.metadata.name == "cp"
    assert node.status.addresses[0].address == cluster.address
    assert not node.spec.unschedulable
    assert after.spec.unschedulable
    assert int(after.metadata.resource_version) > int(node.metadata.resource_version)
    assert (code.major, code.minor, missing) == ("1", "36", 404)
    [ours] = await KubernetesApi().nodes(kubeconfig(cluster, secrets, "system:masters"))
    assert (ours.unschedulable, ours.ready, ours.roles) == (True, True, ("control-plane",))


async def test_a_client_that_discovers_finds_the_nodes(cluster, secrets, tmp_path):
    """As kubectl does: it asks what there is before it asks for anything."""
    api = new_client_from_config_dict(yaml.safe_load(kubeconfig(cluster, secrets, "system:masters")))

    def work():
        found = dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovered"))
        nodes = found.resources.get(api_version="v1", kind="Node")
        names = [node.metadata.name for node in nodes.get().items]
        kinds = {resource.kind for resource in found.resources.search(api_version="v1")}
        table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        url = f"{api.configuration.host}/api/v1/nodes"
        shown = json.loads(api.rest_client.request("GET", url, headers={"Accept": table}).read())
        api.close()
        return names, kinds, shown

    names, kinds, shown = await asyncio.to_thread(work)
    assert names == ["cp"]
    assert {"Node"} <= kinds
    assert shown["kind"] == "Table"
    [row] = shown["rows"]
    assert row["cells"][:3] == ["cp", "Ready", "control-plane"]
    assert len(row["cells"]) == len(shown["columnDefinitions"])


async def test_no_rights_no_answer(cluster, secrets):
    with pytest.raises(NodeError, match="403"):
        await KubernetesApi().nodes(kubeconfig(cluster, secrets, "viewers"))
    # Another cluster's certificate: the connection ends, or the API says who are you.
    with pytest.raises(NodeError):
        await KubernetesApi().nodes(_mixed(kubeconfig(cluster, secrets, "system:masters"), cluster))


def _mixed(text, machine):
    document = yaml.safe_load(text)
    other = bundle()
    foreign = pki.issue(
        Pair(other.k8s.crt, other.k8s.key),
        now=now(),
        common_name="admin",
        organizations=("system:masters",),
        client=True,
    )
    stranger = yaml.safe_load(pki.kubeconfig(machine.instance.config, foreign))
    document["users"] = stranger["users"]
    return yaml.safe_dump(document).encode()


async def test_an_api_server_that_is_not_there(cluster, secrets):
    text = kubeconfig(cluster, secrets, "system:masters")
    with pytest.raises(Unreachable):
        await KubernetesApi().nodes(text, host="127.0.0.1", port=1)
    cluster.instance.etcd.member.running = False
    with pytest.raises(Unreachable, match="503"):
        await KubernetesApi().nodes(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x: [",
        b"[]",
        b"contexts: []\n",
        b"current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\n",
    ],
)
async def test_a_kubeconfig_that_is_none(text):
    with pytest.raises(OperatorError, match="kubeconfig"):
        await KubernetesApi().nodes(text)


async def test_no_key_stays_on_disk(cluster, secrets, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    await KubernetesApi().nodes(kubeconfig(cluster, secrets, "system:masters"))
    assert list((tmp_path / "t").iterdir()) == []
