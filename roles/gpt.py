"""The GUID partition table as values: read one, change it, make its bytes. Reads and writes no device.

The layout is UEFI 2.10 §5: protective MBR in LBA 0, header in LBA 1, 128 entries of 128 bytes from LBA 2,
and a copy of both at the end of the disk. Tables of another shape are refused, since neither the Talos
imager nor any common partitioner makes one. It does not align for you (`add_after` excepted) and knows
nothing of what a partition holds.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from inventory.errors import OperatorError

ENTRIES = 128
ENTRY_SIZE = 128
MIB = 1024 * 1024

EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")
LINUX_FILESYSTEM = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
MICROSOFT_BASIC_DATA = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")  # what a FAT volume is marked with

_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")  # 92 bytes
_ENTRY = struct.Struct("<16s16sQQQ72s")
_SIGNATURE = b"EFI PART"
_REVISION = b"\x00\x00\x01\x00"
_BOOT_CODE = 446  # 440 bytes of code, 4 of disk signature, 2 reserved

Read = Callable[[int, int], bytes]
"""read(offset, length) → exactly `length` bytes, or fewer at the end of the disk."""


class PartitionTableError(OperatorError):
    """There is no valid partition table here, or the change does not fit into it."""

    slug: ClassVar[str] = "partition-table"


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry. `index` is its number (from 1, as in sda1); `last_lba` is inclusive."""

    index: int
    type_guid: UUID
    guid: UUID
    first_lba: int
    last_lba: int
    name: str
    attributes: int = 0

    @property
    def sectors(self) -> int:
        return self.last_lba - self.first_lba + 1


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table for a disk of `sectors` logical sectors; partitions in the order of their index."""

    disk_guid: UUID
    sectors: int
    partitions: tuple[Partition, ...] = ()
    sector_size: int = 512

    @property
    def entry_sectors(self) -> int:
        return ENTRIES * ENTRY_SIZE // self.sector_size

    @property
    def first_usable(self) -> int:
        return 2 + self.entry_sectors

    @property
    def last_usable(self) -> int:
        return self.sectors - 2 - self.entry_sectors

    def named(self, name: str) -> Partition | None:
        """The first partition with this name."""
        return next((part for part in self.partitions if part.name == name), None)

    def offset(self, part: Partition) -> int:
        """Where the partition starts, in bytes."""
        return part.first_lba * self.sector_size

    def size(self, part: Partition) -> int:
        """How large the partition is, in bytes."""
        return part.sectors * self.sector_size


def parse(read: Read, sectors: int, sector_size: int = 512) -> Table:
    """The primary table of a disk of `sectors` sectors, checksums verified.

    The place of the backup is not checked: an image that was copied onto a larger disk has it too early,
    and writing `primary` and `backup` of the result mends that.
    """
    header = read(sector_size, sector_size)
    if len(header) < sector_size or header[:8] != _SIGNATURE:
        raise PartitionTableError(
            "no GPT header in the second sector", fix="use a disk image with a GPT partition table"
        )
    fields = _HEADER.unpack_from(header)
    _, revision, size, crc, _, my_lba, _, _, _, disk_guid, entries_lba, count, entry_size, entries_crc = (
        fields
    )
    _check(
        revision == _REVISION and _HEADER.size <= size <= sector_size,
        "the GPT header is of an unknown revision",
    )
    _check(
        crc == zlib.crc32(header[:16] + b"\0\0\0\0" + header[20:size]), "the GPT header's checksum is wrong"
    )
    _check(my_lba == 1 and entries_lba == 2, "the GPT is not at the start of the disk")
    _check(
        (count, entry_size) == (ENTRIES, ENTRY_SIZE),
        f"{count} entries of {entry_size} bytes are not supported",
    )
    raw = read(entries_lba * sector_size, ENTRIES * ENTRY_SIZE)
    _check(
        len(raw) == ENTRIES * ENTRY_SIZE and entries_crc == zlib.crc32(raw),
        "the partition entries' checksum is wrong",
    )
    found = (_entry(raw, index) for index in range(ENTRIES))
    table = Table(UUID(bytes_le=disk_guid), sectors, tuple(part for part in found if part), sector_size)
    return _checked(table)


def primary(table: Table, mbr: bytes) -> bytes:
    """LBA 0 to the last entry (34 sectors of 512 bytes): protective MBR, header, entries.

    `mbr` is the old first sector or just its 440 bytes of boot code. The code is kept, and so is the mark
    "bootable" of an old protective entry, without which some BIOSes skip the disk.
    """
    entries = _entries(table)
    return (
        _protective(table, mbr).ljust(table.sector_size, b"\0")
        + _header(table, entries, backup=False)
        + entries
    )


def backup(table: Table) -> bytes:
    """The copy for the end of the disk (33 sectors of 512 bytes): entries, then header in the last sector."""
    entries = _entries(table)
    return entries + _header(table, entries, backup=True)


def backup_offset(table: Table) -> int:
    """Where `backup` belongs, in bytes."""
    return (table.sectors - 1 - table.entry_sectors) * table.sector_size


def resize(table: Table, sectors: int) -> Table:
    """The same partitions on a disk of `sectors` sectors."""
    return _checked(replace(table, sectors=sectors))


def add_after(
    table: Table,
    after_name: str,
    name: str,
    *,
    size_bytes: int,
    type_guid: UUID,
    guid: UUID,
    align: int = MIB,
) -> Table:
    """A new partition directly after the one called `after_name`, at the next multiple of `align` bytes."""
    after = table.named(after_name)
    if after is None:
        names = ", ".join(part.name or f"#{part.index}" for part in table.partitions) or "none"
        raise PartitionTableError(
            f"there is no partition {after_name!r} (there are: {names})", fix="check the image"
        )
    step = align // table.sector_size
    first = -(-(after.last_lba + 1) // step) * step
    last = first - 1 + -(-size_bytes // table.sector_size)
    taken = {part.index for part in table.partitions}
    free = [index for index in range(1, ENTRIES + 1) if index not in taken]
    _check(bool(free), "all 128 partition entries are in use")
    new = Partition(free[0], type_guid, guid, first, last, name)
    partitions = sorted((*table.partitions, new), key=lambda part: part.index)
    return _checked(replace(table, partitions=tuple(partitions)))


def _check(good: bool, what: str) -> None:
    if not good:
        raise PartitionTableError(
            what, fix="fetch the image again and compare its SHA-256, or use a larger disk"
        )


def _checked(table: Table) -> Table:
    """The table itself, once no partition overlaps another, a copy of the table, or the end of the disk."""
    free_from = table.first_usable
    for part in sorted(table.partitions, key=lambda part: part.first_lba):
        what = f"partition {part.index} ({part.name!r}, sectors {part.first_lba} to {part.last_lba})"
        _check(part.first_lba <= part.last_lba, f"{what} ends before it starts")
        _check(part.first_lba >= free_from, f"{what} overlaps what is before it")
        _check(
            part.last_lba <= table.last_usable,
            f"{what} does not fit: the last usable sector is {table.last_usable}",
        )
        free_from = part.last_lba + 1
    return table


def _entry(raw: bytes, index: int) -> Partition | None:
    type_guid, guid, first, last, attributes, name = _ENTRY.unpack_from(raw, index * ENTRY_SIZE)
    if type_guid == bytes(16):
        return None
    text = name.decode("utf-16-le", errors="replace").split("\0", 1)[0]
    return Partition(index + 1, UUID(bytes_le=type_guid), UUID(bytes_le=guid), first, last, text, attributes)


def _entries(table: Table) -> bytes:
    raw = bytearray(ENTRIES * ENTRY_SIZE)
    for part in table.partitions:
        name = part.name.encode("utf-16-le")
        _check(len(name) <= 72, f"the partition name {part.name!r} is longer than 36 characters")
        _ENTRY.pack_into(
            raw,
            (part.index - 1) * ENTRY_SIZE,
            part.type_guid.bytes_le,
            part.guid.bytes_le,
            part.first_lba,
            part.last_lba,
            part.attributes,
            name,
        )
    return bytes(raw)


def _header(table: Table, entries: bytes, *, backup: bool) -> bytes:
    last = table.sectors - 1
    here, other = (last, 1) if backup else (1, last)
    entries_at = last - table.entry_sectors if backup else 2

    def packed(crc: int) -> bytes:
        return _HEADER.pack(
            _SIGNATURE, _REVISION, _HEADER.size, crc, 0, here, other, table.first_usable, table.last_usable,
            table.disk_guid.bytes_le, entries_at, ENTRIES, ENTRY_SIZE, zlib.crc32(entries),
        )  # fmt: skip

    return packed(zlib.crc32(packed(0))).ljust(table.sector_size, b"\0")


def _protective(table: Table, mbr: bytes) -> bytes:
    old_entry = mbr[_BOOT_CODE : _BOOT_CODE + 16]
    bootable = old_entry[0] if len(old_entry) == 16 and old_entry[4] == 0xEE else 0
    length = min(table.sectors - 1, 0xFFFFFFFF)
    entry = struct.pack("<B3sB3sII", bootable, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, length)
    return mbr[:_BOOT_CODE].ljust(_BOOT_CODE, b"\0") + entry + bytes(48) + b"\x55\xaa"
