"""What is on a disk, read from its bytes: partition table, file systems by signature, kernel names.

The same view is used by lsblk, blkid, wipefs and /dev/disk. Also makes disks that look used, for the rule
that a disk with data is never chosen by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

from iso.lab.api import LabDisk
from roles import gpt

_LVM, _MIB = b"LABELONE", 1024 * 1024
_LAB = UUID("6f0b5bb4-7c1e-5d0c-9a43-0d9a5a4e1c51")  # name space of made-up partition ids


@dataclass(frozen=True, slots=True)
class Signature:
    """A file system or other user of a volume, and where the bytes are that say so."""

    type: str
    label: str
    uuid: str
    offset: int
    magic: bytes


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk or a partition as a stretch of a disk's bytes. It is also the device node of that name."""

    disk: LabDisk
    name: str
    start: int
    size: int
    number: int = 0  # of the partition; 0: the whole disk
    part_label: str = ""
    part_uuid: str = ""
    part_type: str = ""
    changed: Callable[[], None] = lambda: None
    block: bool = True

    def read(self, offset: int, length: int) -> bytes:
        return self.disk.read(self.start + offset, max(0, min(length, self.size - offset)))

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.size:
            self.disk.write(self.start + offset, data[: max(0, self.size - offset)])
            raise OSError(28, "No space left on device", f"/dev/{self.name}")
        self.disk.write(self.start + offset, data)

    def flush(self) -> None:
        self.disk.flush()

    def close_after_write(self) -> None:
        """Udev looks at a disk again when someone who wrote to it closes it."""
        self.changed()


def partition_name(disk: str, number: int) -> str:
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


def whole(disk: LabDisk, changed: Callable[[], None] = lambda: None) -> Volume:
    return Volume(disk, disk.name, 0, disk.size, changed=changed)


def partitions(disk: LabDisk, changed: Callable[[], None] = lambda: None) -> tuple[Volume, ...]:
    """The partitions of a valid table; none if there is none."""
    table = table_of(disk)
    if table is None:
        return ()
    return tuple(
        Volume(
            disk,
            partition_name(disk.name, part.index),
            table.offset(part),
            table.size(part),
            part.index,
            part.name,
            str(part.guid),
            str(part.type_guid),
            changed,
        )
        for part in table.partitions
    )


def table_of(disk: LabDisk) -> gpt.Table | None:
    try:
        return gpt.parse(disk.read, disk.size // disk.sector_size, disk.sector_size)
    except gpt.PartitionTableError:
        return None


def table_type(disk: LabDisk) -> str:
    """As lsblk's PTTYPE: "gpt", "dos" or nothing."""
    if disk.read(disk.sector_size, 8) == b"EFI PART":
        return "gpt"
    sector = disk.read(0, 512)
    return "dos" if sector[510:] == b"\x55\xaa" and any(sector[446:510]) and b"FAT" not in sector[:90] else ""


def boots(disk: LabDisk) -> bool:
    """Would the firmware start this disk? It needs a boot sector and a table with a META partition."""
    if not any(disk.read(0, 440)) or disk.read(510, 2) != b"\x55\xaa":
        return False
    table = table_of(disk)
    return table is not None and table.named("META") is not None


def signature(volume: Volume) -> Signature | None:
    """The file system or other user that the first bytes of a volume tell of."""
    return next(signatures(volume), None)


def signatures(volume: Volume) -> Iterator[Signature]:
    head = volume.read(0, 4096 + 2048)
    if head[:4] == b"XFSB":
        yield Signature("xfs", _text(head[108:120]), str(UUID(bytes=head[32:48])), 0, head[:4])
    if head[:6] == b"LUKS\xba\xbe":
        yield Signature("crypto_LUKS", "", _text(head[168:208]), 0, head[:6])
    if head[510:512] == b"\x55\xaa" and head[54:57] == b"FAT":
        yield Signature(
            "vfat",
            _text(head[43:54]),
            f"{head[42]:02X}{head[41]:02X}-{head[40]:02X}{head[39]:02X}",
            54,
            head[54:62],
        )
    if head[510:512] == b"\x55\xaa" and head[82:87] == b"FAT32":
        yield Signature(
            "vfat",
            _text(head[71:82]),
            f"{head[70]:02X}{head[69]:02X}-{head[68]:02X}{head[67]:02X}",
            82,
            head[82:90],
        )
    if head[512:520] == _LVM:
        yield Signature("LVM2_member", "", _text(head[544:576]), 536, head[536:544])
    if head[1080:1082] == b"\x53\xef":
        yield Signature(
            "ext4", _text(head[1144:1160]), str(UUID(bytes=head[1128:1144])), 1080, head[1080:1082]
        )
    if head[4086:4096] == b"SWAPSPACE2":
        yield Signature(
            "swap", _text(head[1052:1068]), str(UUID(bytes=head[1036:1052])), 4086, head[4086:4096]
        )
    if head[4096:4100] == b"\xfc\x4e\x2b\xa9":
        yield Signature(
            "linux_raid_member",
            _text(head[4128:4160]),
            str(UUID(bytes=head[4112:4128])),
            4096,
            head[4096:4100],
        )


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()


def preload(disk: LabDisk, contents: str, *, seed: str) -> None:
    """Make a disk look used: "ext4 LABEL" on the whole disk, "gpt ext4 LABEL" in a partition of a table."""
    words = contents.split()
    start = 0
    if words[0] == "gpt":
        sectors = disk.size // disk.sector_size
        first = _MIB // disk.sector_size
        part = gpt.Partition(
            1, gpt.LINUX_FILESYSTEM, uuid5(_LAB, seed + "/part"), first, sectors - first - 1, words[-1]
        )
        table = gpt.Table(uuid5(_LAB, seed + "/disk"), sectors, (part,), disk.sector_size)
        disk.write(0, gpt.primary(table, bytes(512)))
        disk.write(gpt.backup_offset(table), gpt.backup(table))
        start = _MIB
    superblock = bytearray(1024)
    superblock[56:58] = b"\x53\xef"
    superblock[104:120] = uuid5(_LAB, seed + "/fs").bytes
    superblock[120:136] = words[-1].encode()[:16].ljust(16, b"\0")
    disk.write(start + 1024, bytes(superblock))
    disk.write(start + 64 * 1024, b"kept " * 2000)


def as_volume(node: object) -> Volume | None:
    """The device node as a volume, if it is one."""
    return node if isinstance(node, Volume) else None
