"""What a machine is known by, as the Talos API tells it: over our client and the lab's Talos."""

import pytest

from controller.adapters.talos import GrpcTalosApi
from controller.app.recognize import require_same
from facts.machine_model import Hardware, HardwareNic
from inventory.errors import HostKeyMismatch
from iso.lab.kinds import make
from tests.contract.talos_lab import Site

MAC = "02:11:22:33:44:aa"


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await made.close()


async def waiting(site):
    """In maintenance mode, where only what is not sensitive may be asked."""
    machine = site.machine("n1", tag="v1.13.9")
    machine.macs = (MAC, "02:11:22:33:44:ab")
    return machine


def connect(machine):
    return GrpcTalosApi().connect_maintenance(machine.address, machine.talos_port, trusted_segment=True)


async def booted(site, machine):
    await machine.boot()
    await site.until(lambda: machine.seen("talos-maintenance"))


async def test_uuid_serial_and_cards_without_bridges_and_loopback(site):
    machine = await waiting(site)
    await booted(site, machine)
    async with connect(machine) as node:
        told = await node.marks()
        assert (told.uuid, told.serial) == (machine.uuid, machine.serial)
        assert told.macs == {MAC, "02:11:22:33:44:ab"}
        known = Hardware("amd64", uuid=machine.uuid.upper(), nics=(HardwareNic("eth0", MAC),))
        assert (await require_same(known, node, name="n1")).by == ("uuid", "mac")
        other = Hardware(
            "amd64", uuid="1" + machine.uuid[1:], nics=(HardwareNic("eth0", "02:00:00:00:00:09"),)
        )
        with pytest.raises(HostKeyMismatch, match="another machine") as caught:
            await require_same(other, node, name="n1")
        assert MAC in str(caught.value)
        assert (await require_same(None, node, name="n1")).by == ()


async def test_a_board_without_smbios_is_known_by_its_cards(site):
    """Small Arm boards have no such resource at all: asking for it by name would end in an error."""
    machine = await waiting(site)
    machine.hardware = make("raspberry-pi-5", seed="contract")
    await booted(site, machine)
    async with connect(machine) as node:
        told = await node.marks()
        assert (told.uuid, told.serial) == ("", "")
        known = Hardware("arm64", serial="10000000abcdef", nics=(HardwareNic("end0", MAC),))
        assert (await require_same(known, node, name="n1")).by == ("mac",)
