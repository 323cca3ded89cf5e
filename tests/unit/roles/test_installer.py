"""The layout of an installed disk, put together on a byte array as the writer does and looked at as Talos does."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from facts.machine.disks import Volume
from facts.machine_model import Hardware, HardwareDisk
from inventory.errors import RefusedError
from roles import fat, gpt, installer
from roles.gpt import MIB, Partition, Table

PARTUUID = UUID("6f1e2b3c-0000-4000-8000-00000000abcd")
CONFIG = b"version: v1alpha1\n" * 100
IMAGE_SIZE = 12 * MIB
DISK_SIZE = 4096 * MIB


def image(meta: str = "META") -> bytes:
    """A disk image of the shape Talos has, small: EFI, BIOS, BOOT, META, all inside 12 MiB."""
    spans = (("EFI", 1, 4), ("BIOS", 4, 5), ("BOOT", 5, 10), (meta, 10, 11))
    parts = tuple(
        Partition(n, gpt.LINUX_FILESYSTEM, UUID(int=n), first * 2048, last * 2048 - 1, name)
        for n, (name, first, last) in enumerate(spans, 1)
    )
    table = Table(UUID(int=99), IMAGE_SIZE // 512, parts)
    raw = bytearray(b"\x5a" * IMAGE_SIZE)
    head, tail = gpt.primary(table, b"\xeb" * 440), gpt.backup(table)
    raw[: len(head)] = head
    raw[gpt.backup_offset(table) :] = tail
    return bytes(raw)


def plan(raw: bytes, **more: object) -> installer.InstallLayout:
    usual: dict[str, object] = {
        "disk_size": DISK_SIZE, "logical_sector": 512, "config": CONFIG, "config_partuuid": PARTUUID, "where": "kn-1",
    }  # fmt: skip
    return installer.plan_layout(raw[:MIB], len(raw), **(usual | more))  # type: ignore[arg-type]


def written(layout: installer.InstallLayout, raw: bytes, path: Path) -> None:
    """The four writes, in the order the writer has to keep."""
    with path.open("wb") as disk:
        disk.truncate(DISK_SIZE)
        for offset, data in (
            (layout.body[0], raw[layout.body[0] : sum(layout.body)]),
            layout.backup,
            layout.config_volume,
            (0, layout.first_mib),
        ):
            disk.seek(offset)
            disk.write(data)


def test_the_disk_is_as_talos_wants_it(tmp_path: Path) -> None:
    raw, path = image(), tmp_path / "disk.img"
    layout = plan(raw)
    written(layout, raw, path)
    with path.open("rb") as disk:

        def read(offset: int, length: int) -> bytes:
            disk.seek(offset)
            return disk.read(length)

        table = gpt.parse(read, DISK_SIZE // 512)
        assert table == layout.table
        assert [part.name for part in table.partitions] == ["EFI", "BIOS", "BOOT", "META", "metal-iso"]
        meta, config = table.named("META"), table.named("metal-iso")
        assert meta is not None
        assert config is not None
        assert config.first_lba == meta.last_lba + 1
        assert str(config.guid) == layout.config_partuuid == str(PARTUUID)
        volume = read(table.offset(config), table.size(config))
        assert fat.read_label(volume) == "metal-iso"
        assert fat.read_file(volume, "config.yaml") == CONFIG
        assert read(0, 440) == b"\xeb" * 440
        assert read(17 * 1024, MIB - 17 * 1024) == raw[17 * 1024 : MIB]
        assert read(MIB, 10 * MIB) == raw[MIB : 11 * MIB]
        assert read(DISK_SIZE - 512, 8) == b"EFI PART"


@pytest.mark.needs("sgdisk")
def test_sgdisk_finds_no_fault(tmp_path: Path) -> None:
    raw, path = image(), tmp_path / "disk.img"
    written(plan(raw), raw, path)
    said = subprocess.run(["sgdisk", "-v", str(path)], capture_output=True, text=True, check=True).stdout
    assert "No problems found" in said


def test_before_the_first_mib_is_written_there_is_nothing_to_boot() -> None:
    """The order of the writes is what makes a power cut harmless; no earlier part may reach into the first MiB."""
    layout = plan(image())
    starts = (layout.body[0], layout.backup[0], layout.config_volume[0])
    assert min(starts) >= MIB == len(layout.first_mib)


def test_planning_again_gives_the_same_bytes() -> None:
    assert plan(image()) == plan(image())


def test_secrets_do_not_show() -> None:
    assert "v1alpha1" not in repr(plan(image()))


@pytest.mark.parametrize(
    ("raw", "more", "what", "fix"),
    [
        (image(), {"logical_sector": 4096}, "4096-byte logical sectors", "512-byte"),
        (image(), {"disk_size": 8 * MIB}, "too small", "larger disk"),
        (image(), {"disk_size": 2000 * MIB}, "too small", "larger disk"),
        (image("DATA"), {}, "no META partition", "raw image"),
        (b"\0" * 1000, {}, "smaller than 1 MiB", "fetch"),
        (b"\0" * IMAGE_SIZE, {}, "no GPT header", "GPT"),
    ],
)
def test_what_is_refused(raw: bytes, more: dict[str, object], what: str, fix: str) -> None:
    with pytest.raises(Exception, match=what) as caught:
        plan(raw, **more)
    assert fix in str(caught.value)


def test_another_config_volume_is_refused(
    make_disk: Callable[..., HardwareDisk], make_hardware: Callable[..., Hardware]
) -> None:
    volume = Volume("sdb1", "part", 16 * MIB, fstype="vfat", partlabel="metal-iso")
    target, stick = make_disk("sda", "ssd"), make_disk("sdb", "usb", volumes=(volume,))
    with pytest.raises(RefusedError, match=r"/dev/sdb .usb. has a volume called metal-iso"):
        installer.check_no_other_config(make_hardware(target, stick), target)
    installer.check_no_other_config(make_hardware(target, stick), stick)  # the target itself is overwritten
    whole = make_disk("sdb", "usb", contents=("sdb: vfat 'metal-iso', 16.8 MB",))
    with pytest.raises(RefusedError, match="metal-iso"):
        installer.check_no_other_config(make_hardware(target, whole), target)


def test_another_stick_does_not_matter_where_nothing_looks_for_it(
    make_disk: Callable[..., HardwareDisk], make_hardware: Callable[..., Hardware]
) -> None:
    volume = Volume("sdb1", "part", 16 * MIB, fstype="vfat", partlabel="metal-iso")
    target, stick = make_disk("sda", "ssd"), make_disk("sdb", "usb", volumes=(volume,))
    for method in ("state", "maintenance-push"):
        installer.check_no_other_config(make_hardware(target, stick), target, method=method)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["metal-iso", "state", "maintenance-push"])
def test_a_state_of_an_earlier_talos_on_another_disk_is_refused(
    make_disk: Callable[..., HardwareDisk], make_hardware: Callable[..., Hardware], method: str
) -> None:
    volume = Volume("sdb5", "part", 100 * MIB, fstype="xfs", partlabel="STATE")
    target, other = make_disk("sda", "ssd"), make_disk("sdb", "ssd", volumes=(volume,))
    with pytest.raises(RefusedError, match="has a volume called STATE") as caught:
        installer.check_no_other_config(make_hardware(target, other), target, method=method)  # type: ignore[arg-type]
    assert "wipe that disk" in caught.value.fix
    installer.check_no_other_config(make_hardware(target, other), other, method=method)  # type: ignore[arg-type]


def test_state_stands_after_meta_and_is_left_to_the_machine() -> None:
    layout = plan(image(), method="state")
    assert [part.name for part in layout.table.partitions] == ["EFI", "BIOS", "BOOT", "META", "STATE"]
    meta, state = layout.table.named("META"), layout.table.named("STATE")
    assert meta is not None
    assert state is not None
    assert state.first_lba == meta.last_lba + 1
    assert state.type_guid == gpt.LINUX_FILESYSTEM
    assert layout.config_volume == (layout.table.offset(state), b"")
    assert layout.config_size == layout.table.size(state) == 300 * MIB
    assert layout.config_partuuid == str(PARTUUID)
    with pytest.raises(RefusedError, match="too small"):
        plan(image(), method="state", disk_size=2200 * MIB)


def test_a_pushed_configuration_has_no_partition() -> None:
    layout = plan(image(), method="maintenance-push")
    assert [part.name for part in layout.table.partitions] == ["EFI", "BIOS", "BOOT", "META"]
    assert (layout.config_volume, layout.config_size, layout.config_partuuid) == ((0, b""), 0, "")
