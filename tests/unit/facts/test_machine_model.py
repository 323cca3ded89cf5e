"""The hardware model as the disk choice and the plan see it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from facts.machine import disk_ids, disks
from facts.machine_model import hardware, human_memory, human_size
from facts.snapshot import Facts

HARDWARE = Path(__file__).parents[2] / "fixtures/hardware"


def facts(name: str) -> Facts:
    return Facts.from_dict(json.loads((HARDWARE / f"{name}.json").read_text()))


def one_disk(disk: disks.Disk, ids: tuple[str, ...] = ()):
    values = {
        "disks": disks.Disks((disk,)),
        "disk_ids": disk_ids.AllDiskIds((disk_ids.DiskIds(disk.name, ids),)),
    }
    return hardware(Facts(values)).disks[0]


def test_a_server():
    found = hardware(facts("dell-r660"))
    assert (found.vendor, found.product, found.serial, found.arch) == (
        "Dell Inc.",
        "PowerEdge R660",
        "SVCTAG1",
        "amd64",
    )
    assert (found.cpu.sockets, found.cpu.cores, found.cpu.threads) == (2, 64, 128)
    assert (found.firmware, found.secure_boot, found.tpm, found.ecc) == ("uefi", False, "2", True)
    assert [gpu.vendor_id for gpu in found.gpus] == ["102b", "10de"]
    assert found.bmc.address == "192.0.2.201"
    assert found.unknown == ()


def test_its_disks():
    boss, data, stick = hardware(facts("dell-r660")).disks
    assert (boss.kind, boss.stable_path, boss.has_data, boss.healthy) == (
        "nvme",
        "/dev/disk/by-id/nvme-eui.0050430000000001",
        False,
        True,
    )
    assert data.contents == (
        "GPT partition table, 2 partitions",
        "nvme1n1p1: vfat 'EFI', 537 MB",
        "nvme1n1p2: LVM2_member 'data', 1.92 TB",
        "vg0-data: ext4 'data', 1.9 TB",
    )
    assert data.has_data
    assert not data.mounted
    assert data.labels == ("EFI", "EFI System", "data", "data")
    assert (stick.kind, stick.removable, stick.boot_medium) == ("usb", True, True)


def test_its_network_cards_are_hardware_only():
    found = hardware(facts("dell-r660")).nics
    assert [(nic.name, nic.driver, nic.link, nic.speed) for nic in found] == [
        ("eno8303", "tg3", True, 1000),
        ("eno8403", "tg3", None, 0),
        ("ens1f0np0", "ice", True, 25000),
    ]


def test_an_arm_board():
    found = hardware(facts("raspberry-pi-5"))
    assert (found.arch, found.board, found.firmware, found.bmc) == (
        "arm64",
        "Raspberry Pi 5 Model B Rev 1.0",
        "devicetree",
        None,
    )
    assert [disk.kind for disk in found.disks] == ["mmc", "nvme"]


def test_nothing_known_is_said_so():
    found = hardware(Facts())
    assert found.disks == ()
    assert set(found.unknown) >= {"disks", "cpu", "platform", "boot"}


@pytest.mark.parametrize(
    ("disk", "kind"),
    [
        (disks.Disk("sda", "/dev/sda", 1, rotational=True, transport="sata"), "hdd"),
        (disks.Disk("sda", "/dev/sda", 1, transport="sas"), "ssd"),
        (disks.Disk("sda", "/dev/sda", 1, transport="usb"), "usb"),
        (disks.Disk("nvme0n1", "/dev/nvme0n1", 1), "nvme"),
        (disks.Disk("vda", "/dev/vda", 1, rotational=True), "virtual"),
        (disks.Disk("sda", "/dev/sda", 1, model="QEMU HARDDISK", rotational=True), "virtual"),
        (disks.Disk("mmcblk0", "/dev/mmcblk0", 1), "mmc"),
    ],
)
def test_kinds_of_disk(disk: disks.Disk, kind: str):
    assert one_disk(disk).kind == kind


@pytest.mark.parametrize(
    ("ids", "stable"),
    [
        ((), "/dev/sda"),
        (("ata-X_1", "wwn-0x5", "scsi-35"), "/dev/disk/by-id/wwn-0x5"),
        (("ata-X_1", "scsi-SATA_X_1"), "/dev/disk/by-id/scsi-SATA_X_1"),
        (("nvme-X_1_1", "nvme-X_1"), "/dev/disk/by-id/nvme-X_1"),
        (("nvme-X_1", "nvme-eui.00"), "/dev/disk/by-id/nvme-eui.00"),
        (("something-else",), "/dev/sda"),
    ],
)
def test_stable_path(ids: tuple[str, ...], stable: str):
    assert one_disk(disks.Disk("sda", "/dev/sda", 1), ids).stable_path == stable


def test_wwid_as_the_kernel_and_talos_write_it():
    disk = disks.Disk("sda", "/dev/sda", 1)
    assert one_disk(replace(disk, wwn="0x5000c500")).wwid == "naa.5000c500"
    assert one_disk(replace(disk, wwn="eui.00a0")).wwid == "eui.00a0"


def test_what_counts_as_data():
    disk = disks.Disk("sda", "/dev/sda", 10**12)
    assert not one_disk(disk).has_data
    assert one_disk(replace(disk, table="gpt")).contents == ("GPT partition table, 0 partitions",)
    assert one_disk(replace(disk, fstype="ext4", label="data")).contents == ("sda: ext4 'data', 1 TB",)
    assert one_disk(replace(disk, mountpoints=("/",), mounted=True)).contents == (
        "sda: unknown content, 1 TB, mounted at /",
    )
    part = disks.Volume("sda1", "part", 512 * 1024**2)
    assert (
        one_disk(replace(disk, table="dos", volumes=(part,))).contents[0]
        == "MBR partition table, 1 partition"
    )


def test_sizes_in_words():
    assert [human_size(size) for size in (0, 999, 960197124096, 1920383410176, 15360950534144)] == [
        "0 B",
        "999 B",
        "960 GB",
        "1.92 TB",
        "15.4 TB",
    ]
    assert human_memory(32 * 1024**3) == "32 GiB"
