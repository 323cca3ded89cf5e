"""The lab's own machines, image and installer layout together with its Talos: written disk, boot, reset."""

import asyncio
import uuid

import pytest

from controller.adapters.talos import GrpcTalosApi
from iso.lab.image import raw_image
from iso.lab.process import Lab
from iso.lab.spec import LabSpec
from iso.lab.talos.world import TalosWorld
from roles.installer import plan_layout
from tests.contract.talos_lab import FAST, bundle, config, identity

MIB = 1 << 20


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def install(machine, disk, text):
    """As the installer does it: body, backup, configuration, and the first MiB last."""
    image = raw_image("1.13.9", machine.arch)
    layout = plan_layout(
        image[:MIB],
        len(image),
        disk_size=disk.size,
        logical_sector=disk.sector_size,
        config=text,
        config_partuuid=uuid.uuid4(),
    )
    offset, length = layout.body
    disk.write(offset, image[offset : offset + length])
    disk.write(*layout.backup)
    disk.write(*layout.config_volume)
    disk.write(0, layout.first_mib)
    return layout


@pytest.mark.parametrize("kind", ["vm-kvm", "raspberry-pi-5"])
async def test_a_lab_machine_becomes_a_node_and_comes_back(tmp_path, request, kind):
    spec = LabSpec(sites=1, nodes=1, hardware=(kind,), seed=request.node.nodeid, boot_seconds=0.01)
    lab = Lab(tmp_path, spec, world=TalosWorld(timings=FAST))
    await lab.start()
    try:
        [machine] = lab.machines.values()
        assert machine.state == "bootstrap"
        disk = next(iter(machine.disks.values()))
        secrets = bundle()
        who = identity(secrets)
        endpoint = f"https://{machine.address}:{machine.kube_port}"
        layout = install(
            machine, disk, config(secrets, endpoint=endpoint, install={"disk": f"/dev/{disk.name}"})
        )
        await machine.reboot()
        await until(lambda: machine.state == "talos")
        await until(lambda: machine._instance.services.get("etcd") == "Preparing/unknown")
        async with GrpcTalosApi().connect(
            machine.address, machine.talos_port, who, server_name=machine.address
        ) as api:
            assert (await api.version()).tag == "v1.13.9"
            assert await api.bootstrap() is True
            await until(lambda: not machine._instance.unmet())
            [medium] = [one for one in await api.volumes() if one.partition_uuid == layout.config_partuuid]
            await api.wipe(medium.name, drop_partition=True)
            assert layout.config_partuuid not in {one.partition_uuid for one in await api.volumes()}
            await api.reset(graceful=False, reboot=True)
        await until(lambda: machine.state == "bootstrap")
        assert disk.read(0, MIB) == bytes(MIB)
    finally:
        await lab.stop()
