"""A disk image shaped like Talos's that really boots: it says where it was started from, and then waits.

Real partition table, real boot sector, real loaders for BIOS and UEFI; no operating system behind them.
"""

import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid5

import zstandard

from roles import gpt

MIB = 1024 * 1024
MARKER = "STANDIN-BOOTED"
_NAMES = UUID("5c6c1f0e-51b3-5d0a-9e4e-0f9f1a7f2b10")
_LAYOUT = (
    ("EFI", gpt.EFI_SYSTEM, 8),
    ("BIOS", gpt.BIOS_BOOT, 1),
    ("BOOT", gpt.LINUX_FILESYSTEM, 40),
    ("META", gpt.LINUX_FILESYSTEM, 1),
)
_SAY = f"""\
serial --unit=0 --speed=115200
terminal_output serial
echo {MARKER} platform=$grub_platform
sleep 3600
"""


@dataclass(frozen=True)
class StandIn:
    path: Path
    sha256: str
    raw: bytes


def build(folder: Path) -> StandIn:
    folder.mkdir(parents=True, exist_ok=True)
    first, parts = MIB // 512, []
    for index, (label, kind, size) in enumerate(_LAYOUT, 1):
        last = first + size * MIB // 512 - 1
        parts.append(gpt.Partition(index, kind, uuid5(_NAMES, label), first, last, label))
        first = last + 1
    table = gpt.Table(uuid5(_NAMES, "disk"), first + MIB // 512, tuple(parts))
    image = bytearray(table.sectors * 512)
    core = _core(folder, "i386-pc", "biosdisk part_gpt serial terminal echo sleep")
    by_name = {part.name: part for part in parts}
    _put(image, by_name["BIOS"].first_lba * 512, _embedded(core, by_name["BIOS"].first_lba))
    head = gpt.primary(table, _boot_sector(by_name["BIOS"].first_lba))
    _put(image, 0, head)
    _put(image, by_name["EFI"].first_lba * 512, _efi(folder, _LAYOUT[0][2]))
    # Something to stream that does not compress to nothing, the same each time.
    filling = b"".join(sha256(b"%d" % n).digest() for n in range(20 * MIB // 32))
    _put(image, by_name["BOOT"].first_lba * 512, filling)
    _put(image, gpt.backup_offset(table), gpt.backup(table))
    packed = zstandard.ZstdCompressor(level=3).compress(bytes(image))
    path = folder / "metal-amd64.raw.zst"
    path.write_bytes(packed)
    return StandIn(path, sha256(packed).hexdigest(), bytes(image))


def _put(image: bytearray, offset: int, data: bytes) -> None:
    image[offset : offset + len(data)] = data


def _core(folder: Path, kind: str, modules: str) -> bytes:
    (folder / "say.cfg").write_text(_SAY)
    made = folder / f"core-{kind}"
    options = ["-O", kind, "-c", folder / "say.cfg", "-p", "/", "-o", made]
    subprocess.run(["grub-mkimage", *options, *modules.split()], check=True)
    return made.read_bytes()


def _embedded(core: bytes, lba: int) -> bytes:
    """GRUB's core for a place of its own: its first sector holds where the others are."""
    sectors = (len(core) + 511) // 512
    where = (
        (lba + 1).to_bytes(8, "little") + (sectors - 1).to_bytes(2, "little") + (0x820).to_bytes(2, "little")
    )
    return core[:0x1F4] + where + core[0x200:]


def _boot_sector(lba: int) -> bytes:
    code = bytearray(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:512])
    code[0x5C:0x64] = lba.to_bytes(8, "little")
    code[0x64] = 0xFF  # the disk that the firmware started
    code[0x66:0x68] = b"\x90\x90"
    code[440:] = bytes(72)
    return bytes(code)


def _efi(folder: Path, size: int) -> bytes:
    made = folder / "efi.img"
    made.unlink(missing_ok=True)
    with made.open("wb") as file:
        file.truncate(size * MIB)
    loader = folder / "BOOTX64.EFI"
    loader.write_bytes(_core(folder, "x86_64-efi", "part_gpt fat serial terminal echo sleep"))
    for argv in (
        ["mformat", "-i", made, "-v", "EFI", "::"],
        ["mmd", "-i", made, "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", made, loader, "::/EFI/BOOT/BOOTX64.EFI"],
    ):
        subprocess.run(argv, check=True)
    return made.read_bytes()
