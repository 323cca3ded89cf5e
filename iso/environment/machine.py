"""What the screen says about the machine: read from the kernel's files, so that it costs no programs.

Every reader takes the root to read under and is total: a machine without a file simply says less.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_NOT_DISKS = ("loop", "ram", "zram", "sr", "fd", "nbd", "dm-", "md")
_ESTABLISHED, _LISTENING = "01", "0A"


@dataclass(frozen=True, slots=True)
class Disk:
    name: str
    size: int
    model: str


@dataclass(frozen=True, slots=True)
class Link:
    """A network card with its addresses (`10.0.0.5/24`)."""

    name: str
    up: bool
    mac: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """What does not change while the machine runs."""

    vendor: str
    product: str
    serial: str
    memory: int
    firmware: str  # UEFI, BIOS
    secure_boot: bool


def machine(root: Path) -> Machine:
    dmi = root / "sys/class/dmi/id"
    efi = (root / "sys/firmware/efi").exists()
    return Machine(
        vendor=_text(dmi / "sys_vendor"),
        product=_text(dmi / "product_name"),
        serial=_text(dmi / "product_serial"),
        memory=_memory(_text(root / "proc/meminfo")),
        firmware="UEFI" if efi else "BIOS",
        secure_boot=_raw(root / _SECURE_BOOT)[4:5] == b"\1",
    )


def disks(root: Path) -> tuple[Disk, ...]:
    """Whole disks that have a size; an empty card reader is none."""
    found = []
    for folder in sorted((root / "sys/block").glob("*")):
        sectors = _text(folder / "size")
        if folder.name.startswith(_NOT_DISKS) or not sectors.isdigit() or sectors == "0":
            continue
        found.append(Disk(folder.name, int(sectors) * 512, _text(folder / "device/model")))
    return tuple(found)


def links(root: Path, addresses: str) -> tuple[Link, ...]:
    """Network cards; `addresses` is what `ip -json address` prints."""
    by_name = _addresses(addresses)
    found = []
    for folder in sorted((root / "sys/class/net").glob("*")):
        if not (folder / "device").exists():
            continue  # the loopback, and what programs made
        up = _text(folder / "carrier") == "1"
        found.append(Link(folder.name, up, _text(folder / "address"), by_name.get(folder.name, ())))
    return tuple(found)


def _addresses(text: str) -> dict[str, tuple[str, ...]]:
    try:
        rows = json.loads(text or "[]")
    except ValueError:
        return {}
    return {
        row.get("ifname", ""): tuple(
            f"{item['local']}/{item['prefixlen']}"
            for item in row.get("addr_info", ())
            if item.get("scope") == "global"
        )
        for row in rows
    }


def ip_addresses() -> str:
    """`ip -json address`; empty if it can't be run."""
    done = subprocess.run(["ip", "-json", "address"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def controllers(root: Path) -> int | None:
    """How many SSH connections are open; None as long as nobody could connect."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in _text(root / "proc/net" / name).splitlines()]
    states = [row[3] for row in rows if len(row) > 3 and row[1].endswith(":0016")]
    return states.count(_ESTABLISHED) if _LISTENING in states else None


@dataclass(frozen=True, slots=True)
class Writing:
    """A dd on its way to a disk. `total` is 0 if whoever started it did not say how much it will be."""

    disk: str
    done: int
    total: int


def writing(root: Path) -> Writing | None:
    """What an install looks like from inside: the image goes through one dd, whose file position tells."""
    for process in _processes(root):
        if _text(process / "comm") != "dd":
            continue
        try:
            target = str((process / "fd/1").readlink())
        except OSError:
            continue  # it ended while we looked
        position = re.search(r"^pos:\s*(\d+)", _text(process / "fdinfo/1"), re.MULTILINE)
        if target.startswith("/dev/") and not target.startswith("/dev/null") and position:
            total = re.search(rb"(?:^|\0)CTO_TOTAL=(\d+)", _raw(process / "environ"))
            return Writing(target.removeprefix("/dev/"), int(position[1]), int(total[1]) if total else 0)
    return None


def _processes(root: Path) -> Iterator[Path]:
    return (folder for folder in (root / "proc").glob("[0-9]*") if folder.is_dir())


def _memory(meminfo: str) -> int:
    match = re.search(r"^MemTotal:\s*(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _text(path: Path) -> str:
    return _raw(path).decode("utf-8", "replace").strip()


def _raw(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
