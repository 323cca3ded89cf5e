"""What `roles` renders is what the lab's Talos accepts, and a node made of it answers under its names."""

import pytest

from controller.adapters.talos import GrpcTalosApi
from facts.machine_model import Hardware, HardwareCpu, HardwareDisk
from inventory.fleet import Cluster, Disk, Image, Node
from iso.lab.talos.config import load
from roles import disks, machineconfig
from tests.contract.talos_lab import bundle, identity, write_image

GIB = 1 << 30
VERSIONS = {
    "1.13.9": "1.36.3",
    "1.14.1": "1.37.0",
}  # with a Kubernetes that each runs: the old form, the new one


def hardware(machine):
    path = f"/dev/disk/by-id/ata-LAB_{machine.disk.serial}"
    disk = HardwareDisk("sda", "/dev/sda", path, machine.disk.size, "ssd", serial=machine.disk.serial)
    return Hardware("amd64", cpu=HardwareCpu("x", 1, 4, 8), memory=16 * GIB, disks=(disk,), firmware="uefi")


def rendered(machine, secrets, talos, role, settings=None, cluster_settings=None, files=None):
    node = Node(
        "kn-1", "kn", "kn", role, address=machine.address, image=Image(talos), settings=settings or {}
    )
    endpoint = f"https://{machine.address}:6443"
    cluster = Cluster("kn", "kn", endpoint, VERSIONS[talos], ("kn-1",), False, cluster_settings or {})
    choice = disks.choose(Disk(), hardware(machine), minimum=GIB)
    made = machineconfig.render(node, cluster, secrets, choice, hardware=hardware(machine), files=files)
    return made.text.encode()


@pytest.mark.parametrize("talos", VERSIONS)
@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "timeServers": ["192.0.2.1"],
            "nameservers": ["192.0.2.2"],
            "searchDomains": ["lan"],
            "registryMirrors": {"docker.io": ["https://mirror.lan"]},
            "proxy": {"http": "http://proxy.lan:3128"},
            "sysctls": {"vm.max_map_count": 262144},
            "nodeLabels": {"rack": "1"},
        },
        {"timeDisabled": True},
    ],
    ids=["plain", "much", "no-time"],
)
async def test_it_is_accepted(site, talos, role, settings):
    machine = site.machine("kn-1")
    text = rendered(machine, bundle(), talos, role, settings, {"cni": "none"})
    config = load(text, minor=int(talos.split(".")[1]), disks=machine.disks.values())
    assert config.hostname == "kn-1"
    assert config.control_plane is (role != "worker")
    assert config.time_disabled is bool(settings.get("timeDisabled"))
    assert (config.cni, config.kubelet_version) == ("none", f"v{VERSIONS[talos]}")
    assert config.schedulable_control_planes is (role == "appliance") or role == "worker"
    assert config.node_labels.get("rack", "") == settings.get("nodeLabels", {}).get("rack", "")


@pytest.mark.parametrize("talos", VERSIONS)
async def test_an_appliance_made_of_it_becomes_ready(site, talos):
    secrets = bundle()
    machine = site.machine("kn-1")
    write_image(machine.disk, config=rendered(machine, secrets, talos, "appliance"), tag=f"v{talos}")
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("etcd") == "Preparing/unknown")
    api = GrpcTalosApi()
    async with api.connect(machine.address, 50000, identity(secrets), server_name=machine.address) as node:
        assert await node.bootstrap() is True
        await site.until(lambda: machine.instance.stage == "running" and not machine.instance.unmet())
        assert (await node.machine_status()).ready
        same = rendered(machine, secrets, talos, "appliance")
        shown = await node.apply_configuration(same, dry_run=True)
        assert "No changes." in shown.details
