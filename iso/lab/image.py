"""Makes the lab's Talos image: a small disk with the partitions of the real one and nothing that could run.

The same version and architecture give the same bytes. Real machines must never get it: its boot sector
holds a message instead of code.
"""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid5

import zstandard

from roles import gpt

Arch = Literal["amd64", "arm64"]
MARKER = "lab-talos: "  # what the lab's Talos looks for in EFI and BOOT
_MIB = 1024 * 1024
_LAB = UUID("3d0c1a6e-55ad-5c5e-8a52-5a6d0c6f7a11")
# Name, type and size in MiB; META last and most of it incompressible, as in the real image.
_LAYOUT: dict[Arch, tuple[tuple[str, UUID, int], ...]] = {
    "amd64": (
        ("EFI", gpt.EFI_SYSTEM, 4),
        ("BIOS", gpt.BIOS_BOOT, 1),
        ("BOOT", gpt.LINUX_FILESYSTEM, 4),
        ("META", gpt.LINUX_FILESYSTEM, 1),
    ),
    "arm64": (("EFI", gpt.EFI_SYSTEM, 8), ("META", gpt.LINUX_FILESYSTEM, 1)),
}


@dataclass(frozen=True, slots=True)
class LabImage:
    path: Path
    sha256: str  # of the file, compressed
    raw_size: int
    version: str
    arch: Arch


def raw_image(version: str, arch: Arch = "amd64", *, config_from_disk: bool = True) -> bytes:
    """The bytes of the disk. `config_from_disk`: built with `talos.config=metal-iso`."""
    version = version.removeprefix("v")
    name = f"lab-talos/{version}/{arch}"
    first = _MIB // 512
    parts = []
    for index, (label, kind, size) in enumerate(_LAYOUT[arch], 1):
        last = first + size * _MIB // 512 - 1
        parts.append(gpt.Partition(index, kind, uuid5(_LAB, f"{name}/{label}"), first, last, label))
        first = last + 1
    sectors = first + _MIB // 512
    table = gpt.Table(uuid5(_LAB, name), sectors, tuple(parts))
    image = bytearray(sectors * 512)
    code = b"\xeb\xfe" + f"The lab's image {version}: it boots simulated machines only.".encode()
    head = gpt.primary(table, code.ljust(440, b"\x90"))
    image[: len(head)] = head
    source_of_config = " talos.config=metal-iso" if config_from_disk else ""
    marker = f"{MARKER}v{version}{source_of_config}\n".encode()
    source = random.Random(name)  # noqa: S311 - filling that does not compress, the same each time
    for part in parts:
        start, size = table.offset(part), table.size(part)
        if part.name in ("EFI", "BOOT"):
            filling = marker.ljust(4096, b"\0") + source.randbytes(size * 3 // 4)
            image[start : start + len(filling)] = filling
    tail = gpt.backup(table)
    image[gpt.backup_offset(table) : gpt.backup_offset(table) + len(tail)] = tail
    return bytes(image)


def write_image(
    folder: Path, version: str, arch: Arch = "amd64", *, config_from_disk: bool = True
) -> LabImage:
    """`metal-<arch>.raw.zst` in `folder/v<version>`, written once; a file that is there is used again.

    Without `config_from_disk` it is `metal-<arch>-plain.raw.zst`.
    """
    raw = raw_image(version, arch, config_from_disk=config_from_disk)
    packed = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(raw)
    target = (
        folder
        / f"v{version.removeprefix('v')}"
        / f"metal-{arch}{'' if config_from_disk else '-plain'}.raw.zst"
    )
    if not target.exists() or target.read_bytes() != packed:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        partial.write_bytes(packed)
        partial.replace(target)
    return LabImage(target, hashlib.sha256(packed).hexdigest(), len(raw), version, arch)
