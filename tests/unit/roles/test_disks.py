"""The choice of the install disk: one table of machines, one answer or refusal each."""

from collections.abc import Callable
from typing import Any

import pytest

from facts.hardware import DiskPreference
from facts.machine_model import Hardware, HardwareDisk
from inventory.errors import RefusedError
from inventory.fleet import Disk
from roles import disks

GIB = 1024**3
Spec = tuple[str, str, int, dict[str, Any]]

NVME: Spec = ("nvme0n1", "nvme", 960 * GIB, {"serial": "N1", "wwid": "eui.01"})
NVME_SMALL: Spec = ("nvme1n1", "nvme", 240 * GIB, {})
NVME_TWIN: Spec = ("nvme2n1", "nvme", 960 * GIB, {"stable_path": "/dev/disk/by-id/a-first"})
SSD: Spec = ("sda", "ssd", 4000 * GIB, {"model": "BOSS-N1"})
HDD: Spec = ("sdb", "hdd", 8000 * GIB, {})
VIRTUAL: Spec = ("vda", "virtual", 40 * GIB, {})
CARD: Spec = ("mmcblk0", "mmc", 64 * GIB, {})
DATA = {"has_data": True, "contents": ("GPT partition table, 1 partition", "sda1: ext4 'home', 1 TB")}


def with_(spec: Spec, **more: Any) -> Spec:
    return (*spec[:3], {**spec[3], **more})


@pytest.fixture
def machine(
    make_disk: Callable[..., HardwareDisk], make_hardware: Callable[..., Hardware]
) -> Callable[..., Hardware]:
    def make(*specs: Spec) -> Hardware:
        return make_hardware(
            disks=tuple(make_disk(name, kind, size, **more) for name, kind, size, more in specs)
        )

    return make


@pytest.mark.parametrize(
    ("specs", "declared", "chosen", "reason"),
    [
        ([SSD], Disk(), "sda", "the only disk that qualifies (SSD)"),
        ([HDD, SSD, NVME], Disk(), "nvme0n1", "the only NVMe disk that qualifies"),
        ([HDD, SSD], Disk(), "sda", "the only SSD disk that qualifies"),
        ([HDD, VIRTUAL], Disk(), "vda", "the only virtual disk that qualifies"),
        ([HDD, CARD], Disk(), "mmcblk0", "the only memory card disk that qualifies"),
        ([NVME_SMALL, NVME, SSD], Disk(), "nvme0n1", "the largest NVMe disk"),
        ([NVME, NVME_TWIN], Disk(), "nvme2n1", "among the largest NVMe disks the first by stable path"),
        ([with_(NVME, **DATA), SSD], Disk(), "sda", "the only disk that qualifies (SSD)"),
        ([with_(NVME, **DATA), SSD], Disk(wipe=True), "nvme0n1", "the only NVMe disk that qualifies"),
        ([with_(NVME, healthy=False), SSD], Disk(), "sda", "the only disk that qualifies (SSD)"),
        ([with_(NVME, **DATA), SSD], Disk(serial="N1"), "nvme0n1", "named in the site file"),
        ([NVME, SSD], Disk(wwid="eui.01", serial="N1"), "nvme0n1", "named in the site file"),
        ([NVME, SSD], Disk(path="/dev/disk/by-id/sda-id"), "sda", "named in the site file"),
        (
            [NVME, SSD],
            Disk(path="/dev/sda"),
            "sda",
            "a name that may move to another disk; /dev/disk/by-id/sda-id",
        ),
        ([NVME, SSD], Disk(path="/dev/disk/by-id/nvme-Maker_Model_N1"), "nvme0n1", "named in the site file"),
        (
            [NVME, SSD],
            Disk(path="/dev/disk/by-id/nvme-Maker_Model_N1_1"),
            "nvme0n1",
            "named in the site file",
        ),
        ([with_(SSD, wwid="naa.5000c5"), NVME], Disk(wwid="0x5000c5"), "sda", "named in the site file"),
        ([with_(NVME, healthy=False)], Disk(serial="N1"), "nvme0n1", "health check FAILS"),
    ],
)
def test_chosen(
    machine: Callable[..., Hardware], specs: list[Spec], declared: Disk, chosen: str, reason: str
) -> None:
    hardware = machine(*specs)
    for found in (hardware, machine(*reversed(specs))):  # the order in which disks are listed does not matter
        choice = disks.choose(declared, found, minimum=10 * GIB)
        assert choice.disk.name == chosen
        assert reason in choice.reason
        assert choice.contents == choice.disk.contents
        assert {choice.disk.name, *(disk.name for disk, _ in choice.rejected)} == {
            disk.name for disk in found.disks
        }
        assert all(why for _, why in choice.rejected)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"removable": True}, "removable"),
        ({"read_only": True}, "read-only"),
        ({"mounted": True}, "in use"),
        ({"boot_medium": True}, "started from it"),
        ({"logical_sector": 4096}, "4096-byte logical sectors"),
    ],
)
def test_never_even_if_named(machine: Callable[..., Hardware], more: dict[str, Any], why: str) -> None:
    hardware = machine(with_(NVME, **more))
    for declared in (Disk(), Disk(wipe=True), Disk(serial="N1")):
        with pytest.raises(RefusedError, match=why):
            disks.choose(declared, hardware, minimum=10 * GIB)


def test_too_small(machine: Callable[..., Hardware]) -> None:
    with pytest.raises(RefusedError, match=r"too small .*needs 2.2 TB"):
        disks.choose(Disk(), machine(NVME), minimum=2048 * GIB)


def test_a_refusal_lists_every_disk_with_its_reason(machine: Callable[..., Hardware]) -> None:
    hardware = machine(with_(SSD, **DATA), with_(HDD, mounted=True), with_(NVME, healthy=False))
    with pytest.raises(RefusedError) as caught:
        disks.choose(Disk(), hardware, minimum=10 * GIB, where="node kn-1")
    said = str(caught.value)
    assert said.startswith("node kn-1: no disk to install on")
    assert (
        "/dev/sda, BOSS-N1, 4.29 TB: it holds data: GPT partition table, 1 partition; sda1: ext4 'home', 1 TB"
        in said
    )
    assert "/dev/sdb, 8.59 TB: it is in use" in said
    assert "/dev/nvme0n1, 1.03 TB, serial N1: its own health check (SMART) fails" in said
    assert "disk: {serial: …}" in said


def test_no_disk_at_all(make_hardware: Callable[..., Hardware]) -> None:
    with pytest.raises(RefusedError, match="shows no disk at all"):
        disks.choose(Disk(), make_hardware(disks=()), minimum=1)


@pytest.mark.parametrize(
    ("declared", "what"),
    [
        (Disk(serial="ABSENT"), "no disk is ABSENT"),
        (Disk(path="/dev/sdz"), "no disk is /dev/sdz"),
        (Disk(path="/dev/disk/by-id/nvme-Maker_XN1"), "no disk is"),
        (Disk(serial="N1", wwid="eui.99"), "no disk is N1, eui.99"),
    ],
)
def test_a_named_disk_that_is_not_there(machine: Callable[..., Hardware], declared: Disk, what: str) -> None:
    with pytest.raises(RefusedError, match=what) as caught:
        disks.choose(declared, machine(NVME, SSD), minimum=10 * GIB)
    assert "/dev/nvme0n1" in str(caught.value)


def test_two_disks_with_one_serial(machine: Callable[..., Hardware]) -> None:
    with pytest.raises(RefusedError, match="several disks are N1"):
        disks.choose(Disk(serial="N1"), machine(NVME, with_(NVME_SMALL, serial="N1")), minimum=10 * GIB)


@pytest.mark.parametrize(
    ("preference", "chosen", "reason"),
    [
        (DiskPreference(prefer="BOSS"), "sda", "BOSS-N1 is what the hardware profile prefers"),
        (DiskPreference(avoid="BOSS", order=("ssd", "nvme")), "nvme0n1", "NVMe"),
        (DiskPreference(order=("ssd", "nvme")), "sda", "the only SSD disk"),
        (DiskPreference(order=("hdd",)), "sdb", "the only hard disk"),
    ],
)
def test_a_profile_s_preference(
    machine: Callable[..., Hardware], preference: DiskPreference, chosen: str, reason: str
) -> None:
    choice = disks.choose(Disk(), machine(NVME, SSD, HDD), minimum=10 * GIB, preference=preference)
    assert (choice.disk.name, reason in choice.reason) == (chosen, True)
