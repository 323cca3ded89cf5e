"""The disks as the lab's Talos uses them: volumes, the configuration's sources, STATE and EPHEMERAL, wiping.

Works on any `LabDisk` through its bytes alone. STATE and EPHEMERAL hold the lab's stand-in for XFS.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from iso.lab import xfs
from iso.lab.api import Firmware, LabDisk, NotBootable
from roles import fat, gpt

MIB = 1 << 20
STATE_SIZE = 100 * MIB
EPHEMERAL_MIN = 32 * MIB  # Talos asks for 2 GiB; the lab's smallest disks have less
CONFIG_LABEL = "metal-iso"
_PROBE = 256 << 10  # enough for the boot sector, the FATs and the root directory of a small FAT volume


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """A disk or a partition as block discovery sees it. `id` is the kernel name, `index` 0 a whole disk."""

    id: str
    disk: LabDisk
    offset: int
    size: int
    index: int
    filesystem: str  # "vfat", "xfs", "gpt", "talosmeta" or ""
    label: str
    partition_label: str = ""
    partition_uuid: str = ""
    partition_type: str = ""


def table_of(disk: LabDisk) -> gpt.Table | None:
    """The disk's partition table, or None if it has no valid one."""
    try:
        return gpt.parse(disk.read, disk.size // disk.sector_size, disk.sector_size)
    except gpt.PartitionTableError:
        return None


def write_table(disk: LabDisk, table: gpt.Table) -> None:
    """Backup first: a cut in between leaves the old primary."""
    disk.write(gpt.backup_offset(table), gpt.backup(table))
    disk.write(0, gpt.primary(table, disk.read(0, 512)))
    disk.flush()


def check_bootable(disk: LabDisk) -> gpt.Table:
    """What a firmware and the installed system ask of a disk."""
    if disk.read(0, 446).strip(b"\0") == b"":
        raise NotBootable(f"{disk.name}: no boot sector")
    table = table_of(disk)
    if table is None:
        raise NotBootable(f"{disk.name}: no valid partition table")
    if table.named("META") is None:
        raise NotBootable(f"{disk.name}: Talos is not installed (no META partition)")
    return table


def volumes_of(disks: Mapping[str, LabDisk]) -> Iterator[VolumeInfo]:
    """Every disk, each followed by its partitions."""
    for disk in disks.values():
        table = table_of(disk)
        kind, label = ("gpt", "") if table else _probe(disk, 0, "")
        yield VolumeInfo(disk.name, disk, 0, disk.size, 0, kind, label)
        for part in table.partitions if table else ():
            offset = table.offset(part) if table else 0
            kind, label = _probe(disk, offset, part.name)
            yield VolumeInfo(
                partition_name(disk.name, part.index),
                disk,
                offset,
                part.sectors * disk.sector_size,
                part.index,
                kind,
                label,
                part.name,
                str(part.guid),
                str(part.type_guid),
            )


def partition_name(disk: str, index: int) -> str:
    """As the kernel names them: sda5, nvme0n1p5."""
    return f"{disk}p{index}" if disk[-1].isdigit() else f"{disk}{index}"


def _probe(disk: LabDisk, offset: int, name: str) -> tuple[str, str]:
    """Kind of file system and its label."""
    head = disk.read(offset, 512)
    if head[:4] == xfs.MAGIC:
        return "xfs", head[108:120].rstrip(b"\0").decode("ascii", errors="replace")
    if head[510:512] == b"\x55\xaa":
        try:
            return "vfat", fat.read_label(disk.read(offset, _PROBE))
        except fat.FatError:
            return "", ""
    return ("talosmeta", "") if name == "META" else ("", "")


def find_config(disks: Mapping[str, LabDisk]) -> tuple[VolumeInfo, bytes] | None:
    """`config.yaml` of the first volume labelled metal-iso on any disk; None if no volume is.

    Raises fat.FatError if the volume is there but can't be read: that is no reason to look elsewhere.
    """
    for volume in volumes_of(disks):
        if CONFIG_LABEL in {volume.label, volume.partition_label}:
            return volume, _config_file(volume)
    return None


def _config_file(volume: VolumeInfo) -> bytes:
    """The file is nearly always at the start of the volume: all of it is read only if that was not enough."""
    try:
        return fat.read_file(volume.disk.read(volume.offset, min(volume.size, 2 * MIB)), "config.yaml")
    except fat.FatError:
        return fat.read_file(volume.disk.read(volume.offset, min(volume.size, 64 * MIB)), "config.yaml")


def prepare_partitions(disk: LabDisk, firmware: Firmware, new_id: Callable[[], uuid.UUID]) -> None:
    """First boot: drop the boot half the firmware does not use; make STATE and EPHEMERAL."""
    table = before = check_bootable(disk)
    unused = {"BIOS", "BOOT"} if firmware == "uefi" else {"EFI"}
    # A disk without the other half was written for this firmware: nothing is dropped from it.
    if table.named("EFI") and table.named("BOOT"):
        for part in table.partitions:
            if part.name in unused:
                _zero(disk, table.offset(part), min(table.size(part), MIB))
        kept = tuple(part for part in table.partitions if part.name not in unused)
        table = replace(table, partitions=kept)
    for name, want in (("STATE", STATE_SIZE), ("EPHEMERAL", 0)):
        if table.named(name) is None:
            table = _add(table, name, want, new_id())
            made = next(part for part in table.partitions if part.name == name)
            xfs.make(disk, name, at=table.offset(made))
    if table != before:
        write_table(disk, table)


def _add(table: gpt.Table, name: str, size: int, guid: uuid.UUID) -> gpt.Table:
    """A partition in the largest free run: the start of it, or (`size` 0) all of it."""
    first, last = _largest_run(table)
    if size:
        last = min(last, first + size // table.sector_size - 1)
    elif (last - first + 1) * table.sector_size < EPHEMERAL_MIN:
        raise NotBootable(f"no room for {name}: {(last - first + 1) * table.sector_size} bytes are free")
    taken = {part.index for part in table.partitions}
    index = next(number for number in range(1, gpt.ENTRIES + 1) if number not in taken)
    new = gpt.Partition(index, gpt.LINUX_FILESYSTEM, guid, first, last, name)
    return replace(table, partitions=tuple(sorted((*table.partitions, new), key=lambda part: part.index)))


def _largest_run(table: gpt.Table) -> tuple[int, int]:
    """First and last sector of the largest free run, aligned to 1 MiB."""
    step = MIB // table.sector_size
    runs, start = [], table.first_usable
    for part in sorted(table.partitions, key=lambda part: part.first_lba):
        runs.append((start, part.first_lba - 1))
        start = part.last_lba + 1
    runs.append((start, table.last_usable))
    aligned = [(-(-first // step) * step, last) for first, last in runs]
    return max(aligned, key=lambda run: run[1] - run[0])


def read_record(disk: LabDisk, name: str) -> dict[str, Any] | None:
    """What was stored in STATE or EPHEMERAL; None if there is nothing (whole)."""
    table = table_of(disk)
    part = table.named(name) if table else None
    return None if table is None or part is None else xfs.load(disk, at=table.offset(part))


def write_record(disk: LabDisk, name: str, record: Mapping[str, Any]) -> None:
    table = table_of(disk)
    part = table.named(name) if table else None
    if table is None or part is None:
        raise OSError(f"{disk.name} has no {name} partition")
    xfs.save(disk, record, at=table.offset(part))
    disk.flush()


def find_state(disks: Mapping[str, LabDisk]) -> bytes | None:
    """`config.yaml` in the first partition called STATE on any disk; None if there is no such file in it.

    It was stored by a lab Talos, or made in advance in the bootstrap environment.
    """
    for volume in volumes_of(disks):
        if volume.partition_label == "STATE":
            record = xfs.load(volume.disk, at=volume.offset) or {}
            text = record.get("config", record.get("files", {}).get("config.yaml", {}).get("text"))
            return None if text is None else str(text).encode(errors="surrogateescape")
    return None


def wipe_volume(volume: VolumeInfo, *, zeroes: bool, drop_partition: bool) -> None:
    """FAST clears the first and the last MiB, ZEROES everything."""
    if zeroes or volume.size <= 2 * MIB:
        _zero(volume.disk, volume.offset, volume.size)
    else:
        _zero(volume.disk, volume.offset, MIB)
        _zero(volume.disk, volume.offset + volume.size - MIB, MIB)
    table = table_of(volume.disk)
    if drop_partition and volume.index and table is not None:
        kept = tuple(part for part in table.partitions if part.index != volume.index)
        write_table(volume.disk, replace(table, partitions=kept))
    volume.disk.flush()


def wipe_system_disk(disk: LabDisk) -> None:
    """Reset: no boot sector, no table, and nothing of what the partitions held at their start."""
    table = table_of(disk)
    for part in table.partitions if table else ():
        at = gpt.Table.offset(table, part) if table else 0
        _zero(disk, at, min(part.sectors * disk.sector_size, 16 * MIB))
    _zero(disk, 0, MIB)
    _zero(disk, disk.size - MIB, MIB)
    disk.flush()


def _zero(disk: LabDisk, offset: int, length: int) -> None:
    for at in range(offset, offset + length, MIB):
        disk.write(at, bytes(min(MIB, offset + length - at)))
