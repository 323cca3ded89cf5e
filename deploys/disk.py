"""Which disk is meant, and what it is right now: identity, users, signatures. Changes nothing.

A disk is only ever touched after `require` found the serial number and size that the plan saw behind the
path: device names move between boots, and by-id links can be missing or shared by cloned virtual disks.
"""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pyinfra.api.facts import FactBase

from inventory.errors import CheckFailed

MIB = 1024 * 1024
TOOLS = ("blockdev", "dd", "lsblk", "sha256sum", "tail", "wipefs", "zstd")
_COLUMNS = "NAME,PATH,TYPE,SIZE,SERIAL,WWN,RO,LOG-SEC,FSTYPE,PTTYPE,MOUNTPOINTS"
_REPLAN = "run cto facts gather and cto plan again, and look at the plan before applying it"


class DiskIdentity(BaseModel):
    """The disk that the plan chose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        pattern=r"^/dev/[A-Za-z0-9._:+/@-]+$"
    )  # stable path, or the kernel's name if there is none
    size: int = Field(ge=4 * MIB)
    serial: str = ""
    wwid: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """One line of lsblk: a disk, a partition, or something built on them."""

    path: str
    type: str
    fstype: str
    mounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiskState:
    """What is behind a path now. `missing`: nothing is, or it is no disk."""

    missing: str = ""
    size: int = 0
    serial: str = ""
    wwn: str = ""
    read_only: bool = False
    sector: int = 0
    pttype: str = ""
    fstype: str = ""
    children: tuple[Device, ...] = ()  # all below it, the outermost first

    @property
    def holds(self) -> str:
        """What lies on it, in words; empty if nothing known does."""
        words = [self.pttype.upper(), self.fstype] + [
            f"{c.path} ({c.fstype or c.type})" for c in self.children
        ]
        return ", ".join(word for word in words if word)


class DiskFact(FactBase[DiskState]):
    """`DiskState` of a path."""

    def command(self, path: str) -> str:
        return f"lsblk -J -b -o {_COLUMNS} {shlex.quote(path)} 2>&1 || true"

    def process(self, output: Any) -> DiskState:
        return parse("\n".join(output))


class BlankFact(FactBase[bool]):
    """True if the first and the last MiB of the disk hold nothing but zeros."""

    def command(self, path: str, size: int) -> str:
        disk = shlex.quote(path)
        first = f"dd if={disk} bs=1M count=1 status=none | sha256sum"
        where = f"iflag=skip_bytes,count_bytes skip={size - MIB} count={MIB}"
        last = f"dd if={disk} bs=1M {where} status=none | sha256sum"
        return f"blockdev --flushbufs {disk}; {first}; {last}"

    def process(self, output: Any) -> bool:
        return [line.split()[0] for line in output if line.strip()] == [_ZERO_MIB, _ZERO_MIB]


class MissingTools(FactBase[tuple[str, ...]]):
    """Those of the given programs that the machine does not have."""

    def command(self, tools: tuple[str, ...]) -> str:
        words = " ".join(shlex.quote(tool) for tool in tools)
        return f'for tool in {words}; do command -v "$tool" >/dev/null || echo "$tool"; done'

    def process(self, output: Any) -> tuple[str, ...]:
        return tuple(line.strip() for line in output if line.strip())


def parse(text: str) -> DiskState:
    """What lsblk says in JSON; total: anything else becomes `missing` with what was said."""
    try:
        (top,) = json.loads(text)["blockdevices"]
        if top["type"] != "disk":
            return DiskState(missing=f"it is a {top['type']}, not a disk")
        return DiskState(
            size=int(top["size"]),
            serial=_word(top, "serial"),
            wwn=_word(top, "wwn"),
            read_only=top["ro"] in (True, 1, "1"),
            sector=int(top["log-sec"]),
            pttype=_word(top, "pttype"),
            fstype=_word(top, "fstype"),
            children=tuple(_below(top, 0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return DiskState(missing=text.strip()[:200] or "lsblk said nothing")


def require(disk: DiskIdentity, state: DiskState) -> None:
    """Raise unless `state` is the very disk that was planned, writable and of 512-byte sectors."""
    if state.missing:
        raise CheckFailed(f"the planned disk is not there: {state.missing}", where=disk.path, fix=_REPLAN)
    differences = [
        f"{what} {now or 'none'} (planned {planned})"
        for what, planned, now in (
            ("size", str(disk.size), str(state.size)),
            ("serial number", disk.serial, state.serial),
            ("WWID", _bare(disk.wwid), _bare(state.wwn)),
        )
        if planned and planned != now
    ]
    if differences:
        what = f"this is another disk than the planned one: {', '.join(differences)}"
        raise CheckFailed(what, where=disk.path, fix=_REPLAN)
    if state.read_only:
        raise CheckFailed("the disk is read-only", where=disk.path, fix="remove its write protection")
    if state.sector != 512:
        what = f"the disk has sectors of {state.sector} bytes; the image needs 512"
        raise CheckFailed(
            what, where=disk.path, fix="reformat the drive to 512-byte sectors, or choose another disk"
        )


def require_unused(disk: DiskIdentity, state: DiskState) -> None:
    """Raise if anything on the disk is mounted: somebody works with it."""
    mounts = [mount for child in state.children for mount in child.mounts if mount != SWAP]
    if mounts:
        what = f"the disk is in use: mounted at {', '.join(mounts[:5])}"
        raise CheckFailed(what, where=disk.path, fix="unmount it, or choose another disk in the site file")


def require_tools(missing: tuple[str, ...]) -> None:
    if missing:
        what = f"the machine lacks {', '.join(missing)}"
        raise CheckFailed(what, fix="boot it from the product's medium, or install these programs")


def _below(device: Any, depth: int) -> list[Device]:
    """Everything on the device, users before what they use."""
    found: list[Device] = []
    for child in device.get("children") or () if depth < 8 else ():
        found += _below(child, depth + 1)
        mounts = child.get("mountpoints") or ()
        found.append(
            Device(
                path=_word(child, "path"),
                type=_word(child, "type"),
                fstype=_word(child, "fstype"),
                mounts=tuple(str(mount) for mount in mounts if mount),
            )
        )
    return found


def _word(device: Any, key: str) -> str:
    return str(device.get(key) or "").strip()


def _bare(wwid: str) -> str:
    """A WWID in one spelling: the tools write `0x…`, `wwn-0x…`, `naa.…`, `eui.…` for one number."""
    word = wwid.strip().lower()
    for prefix in ("nvme-", "wwn-", "naa.", "eui.", "0x"):
        word = word.removeprefix(prefix)
    return word


SWAP = "[SWAP]"
_ZERO_MIB = "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
