"""A small FAT volume as bytes: make one that holds a few files, read a label or a file. Touches no device.

`build` makes FAT16 as Microsoft's FAT specification 1.03 (fatgen103) describes it: no subdirectories, files
laid out one after the other, fixed dates, so that equal inputs give equal bytes. `read_label` and
`read_file` understand FAT12 and FAT16 volumes made by others too. FAT32 is not supported: nothing here is
that large.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from inventory.errors import OperatorError

SIZE = 16 * 1024 * 1024
_SECTOR = 512
_PER_CLUSTER = 4  # sectors: 16 MiB make 8,167 clusters, well inside FAT16's 4,085 to 65,524
_ROOT_ENTRIES = 512
_BPB = struct.Struct("<3s8sHBHBHHBHHHIIBBBI11s8s")
_ENTRY = struct.Struct("<11sBBBHHHHHHHI")
_LABEL, _LONG_NAME, _ARCHIVE, _DIRECTORY = 0x08, 0x0F, 0x20, 0x10
_EPOCH = 0x0021  # 1980-01-01, the first day FAT knows
_END = 0xFFFF


class FatError(OperatorError):
    """Not a FAT12/16 volume, a damaged one, or more than fits into it."""

    slug: ClassVar[str] = "fat-volume"


def build(label: str, files: Mapping[str, bytes], size: int = SIZE) -> bytes:
    """A FAT16 volume of `size` bytes with `label` (lower case is kept) and these files in its root."""
    raw_label = label.encode("ascii", errors="replace")
    if not 0 < len(raw_label) <= 11 or b"?" in raw_label:
        raise FatError(f"{label!r} is no FAT label", fix="use 1 to 11 ASCII characters")
    sectors = size // _SECTOR
    fat_sectors = -(-(sectors // _PER_CLUSTER + 2) * 2 // _SECTOR)
    root_at = (1 + 2 * fat_sectors) * _SECTOR
    data_at = root_at + _ROOT_ENTRIES * 32
    clusters = (size - data_at) // (_SECTOR * _PER_CLUSTER)
    if not 4085 <= clusters < 65525 or sectors > 0xFFFF:
        raise FatError(f"a volume of {size} bytes can't be FAT16 here", fix="use 9 to 31 MiB")
    volume = bytearray(size)
    volume[:_SECTOR] = _boot_sector(raw_label.ljust(11), files, sectors, fat_sectors)
    fat = [0xFFF8, _END]
    root = bytearray(_dir_entry(raw_label.ljust(11), _LABEL, 0, 0))
    for number, (name, content) in enumerate(files.items(), 1):
        first = len(fat) if content else 0
        needed = -(-len(content) // (_SECTOR * _PER_CLUSTER))
        if len(fat) - 2 + needed > clusters:
            raise FatError(
                f"{name} ({len(content)} bytes) does not fit into the volume", fix="make the file smaller"
            )
        start = data_at + (len(fat) - 2) * _SECTOR * _PER_CLUSTER
        volume[start : start + len(content)] = content
        fat += [len(fat) + step + 1 for step in range(needed - 1)] + [_END] * (needed > 0)
        root += _named_entry(name, number, first, len(content))
    if len(root) > _ROOT_ENTRIES * 32:
        raise FatError(f"{len(files)} files are too many for the root directory", fix="write fewer files")
    table = struct.pack(f"<{len(fat)}H", *fat)
    for copy in range(2):
        at = (1 + copy * fat_sectors) * _SECTOR
        volume[at : at + len(table)] = table
    volume[root_at : root_at + len(root)] = root
    return bytes(volume)


def read_label(volume: bytes) -> str:
    """The label as a prober sees it: of the root directory, else of the boot sector; "" if there is none."""
    view = _View.of(volume)
    for raw in view.root():
        if raw[11] & 0x3F == _LABEL and raw[0] != 0xE5:
            return raw[:11].decode("ascii", errors="replace").rstrip()
    label = volume[43:54].decode("ascii", errors="replace").rstrip()
    return "" if label == "NO NAME" else label


def read_file(volume: bytes, name: str) -> bytes:
    """The content of a file in the root, by its long or short name (case does not matter, as in FAT)."""
    view = _View.of(volume)
    long_name = ""
    for raw in view.root():
        attributes = raw[11]
        if raw[0] == 0xE5:
            long_name = ""
        elif attributes & 0x3F == _LONG_NAME:
            part = (raw[1:11] + raw[14:26] + raw[28:32]).decode("utf-16-le", errors="replace")
            long_name = part.split("\0", 1)[0].rstrip("\uffff") + long_name
        else:
            names = {long_name.casefold(), _short_name(raw).casefold()}
            if name.casefold() in names and not attributes & (_LABEL | _DIRECTORY):
                first, size = struct.unpack_from("<HI", raw, 26)
                return view.content(first, size, name)
            long_name = ""
    raise FatError(f"there is no file {name!r} in the volume", fix="put it into the root directory")


@dataclass(frozen=True, slots=True)
class _View:
    """Where things are in a volume; checked against its real length, since a disk may hold anything."""

    volume: bytes
    cluster_size: int
    fat_at: int
    root_at: int
    root_entries: int
    data_at: int
    clusters: int

    @classmethod
    def of(cls, volume: bytes) -> "_View":
        if len(volume) < _SECTOR or volume[510:512] != b"\x55\xaa":
            raise FatError("no boot sector", fix="make a FAT file system first")
        fields = _BPB.unpack_from(volume)
        sector, per_cluster, reserved, fats, root_entries, small, _, fat_sectors = fields[2:10]
        sectors = small or fields[13]
        root_at = (reserved + fats * fat_sectors) * sector
        data_at = root_at + root_entries * 32
        good = (
            sector in {512, 1024, 2048, 4096}
            and per_cluster
            and reserved
            and fats
            and fat_sectors
            and root_entries
        )
        if not good or data_at > len(volume) or data_at >= sectors * sector:
            raise FatError("not a FAT12 or FAT16 volume", fix="make it with mkfs.vfat -F 16")
        clusters = (sectors * sector - data_at) // (sector * per_cluster)
        if clusters >= 65525:
            raise FatError("a FAT32 volume", fix="make it with mkfs.vfat -F 16")
        return cls(volume, sector * per_cluster, reserved * sector, root_at, root_entries, data_at, clusters)

    def root(self) -> Iterator[bytes]:
        """The used entries of the root directory."""
        for index in range(self.root_entries):
            raw = self.volume[self.root_at + index * 32 : self.root_at + index * 32 + 32]
            if len(raw) < 32 or raw[0] == 0:
                return
            yield raw

    def next_cluster(self, cluster: int) -> int:
        """What follows `cluster`; 0xFFF8 and above mean the end."""
        if self.clusters >= 4085:
            raw = self.volume[self.fat_at + cluster * 2 : self.fat_at + cluster * 2 + 2]
            return int.from_bytes(raw, "little")
        at = self.fat_at + cluster * 3 // 2
        pair = int.from_bytes(self.volume[at : at + 2], "little")
        value = pair >> 4 if cluster % 2 else pair & 0xFFF
        return value | 0xF000 if value >= 0xFF7 else value

    def content(self, first: int, size: int, name: str) -> bytes:
        """`size` bytes along the chain from `first`. A chain that ends early or leaves it is refused."""
        parts: list[bytes] = []
        cluster = first
        for _ in range(-(-size // self.cluster_size)):
            at = self.data_at + (cluster - 2) * self.cluster_size
            if not 2 <= cluster < self.clusters + 2 or at + self.cluster_size > len(self.volume):
                raise FatError(f"the clusters of {name} are damaged", fix="write the volume again")
            parts.append(self.volume[at : at + self.cluster_size])
            cluster = self.next_cluster(cluster)
        return b"".join(parts)[:size]


def _boot_sector(label: bytes, files: Mapping[str, bytes], sectors: int, fat_sectors: int) -> bytes:
    # The serial says which content this is: two volumes with equal files are the same volume.
    serial = zlib.crc32(b"".join(name.encode() + b"\0" + content for name, content in files.items()))
    bpb = _BPB.pack(
        b"\xeb\x3c\x90", b"MSWIN4.1", _SECTOR, _PER_CLUSTER, 1, 2, _ROOT_ENTRIES, sectors, 0xF8, fat_sectors,
        32, 64, 0, 0, 0x80, 0, 0x29, serial, label, b"FAT16   ",
    )  # fmt: skip
    return bpb.ljust(510, b"\0") + b"\x55\xaa"


def _dir_entry(name: bytes, attributes: int, first: int, size: int) -> bytes:
    return _ENTRY.pack(name, attributes, 0, 0, 0, _EPOCH, _EPOCH, 0, 0, _EPOCH, first, size)


def _named_entry(name: str, number: int, first: int, size: int) -> bytes:
    """Long-name entries (last part first), then the short one that carries the file."""
    stem, _, suffix = name.upper().rpartition(".")
    if not stem:
        stem, suffix = suffix, ""
    clean = ["".join(char for char in part if char.isascii() and char.isalnum()) for part in (stem, suffix)]
    tail = f"~{number}"
    short = ((clean[0] or "FILE")[: 8 - len(tail)] + tail).ljust(8) + clean[1][:3].ljust(3)
    raw_short = short.encode("ascii")
    checksum = 0
    for byte in raw_short:
        checksum = (((checksum & 1) << 7) + (checksum >> 1) + byte) & 0xFF
    units = name.encode("utf-16-le")
    if not 0 < len(units) <= 510 or any(char in name for char in '\\/:*?"<>|\0'):
        raise FatError(
            f"{name!r} is no FAT file name",
            fix='leave out \\ / : * ? " < > | and keep it under 256 characters',
        )
    count = -(-len(units) // 26)
    padded = (units + b"\0\0" if len(units) % 26 else units).ljust(count * 26, b"\xff")
    parts = [padded[index * 26 : index * 26 + 26] for index in range(count)]
    out = bytearray()
    for order in range(count, 0, -1):
        part = parts[order - 1]
        mark = order | (0x40 if order == count else 0)
        out += (
            bytes([mark]) + part[:10] + bytes([_LONG_NAME, 0, checksum]) + part[10:22] + b"\0\0" + part[22:]
        )
    return bytes(out) + _dir_entry(raw_short, _ARCHIVE, first, size)


def _short_name(raw: bytes) -> str:
    stem, suffix = (
        raw[:8].decode("ascii", errors="replace").rstrip(),
        raw[8:11].decode("ascii", errors="replace").rstrip(),
    )
    return f"{stem}.{suffix}" if suffix else stem
