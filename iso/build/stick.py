"""Writes an image to a USB stick: only to a removable, unused and large enough one; proves it by reading.

Does not ask; who calls this has asked.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inventory.errors import CheckFailed, NodeError, OperatorError, RefusedError
from iso.build import tools

_CHUNK = 4 * 1024 * 1024  # holds the boot sector and the partition table
_COLUMNS = "PATH,SIZE,RM,HOTPLUG,RO,TYPE,TRAN,MODEL,SERIAL,FSTYPE,LABEL,MOUNTPOINTS"
_SWAP = "[SWAP]"  # lsblk's name for where swap is mounted
Done = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Stick:
    """`contents`: the file systems on it, such as `vfat HOLIDAY`."""

    path: Path
    size: int
    model: str
    serial: str
    contents: tuple[str, ...] = ()


def look(device: Path) -> Stick:
    """What the system knows of the device; refuses one that must not be written."""
    if not device.exists():
        raise OperatorError("there is no such device", where=str(device), fix="see lsblk for what is there")
    real = device.resolve()
    if not real.is_block_device():
        raise RefusedError("this is no disk", where=str(device), fix="give a device, such as /dev/sdb")
    return choose(tools.run(["lsblk", "--json", "--bytes", "--output", _COLUMNS, str(real)]), real)


def choose(lsblk: str, device: Path) -> Stick:
    """The stick out of lsblk's answer. Raises RefusedError with the reason."""
    row: dict[str, Any] = json.loads(lsblk)["blockdevices"][0]
    where, other = str(device), "give the stick's device, such as /dev/sdb; lsblk shows all"
    if row["type"] != "disk":
        raise RefusedError(f"this is a {row['type']}, not a whole disk", where=where, fix=other)
    if not (row["rm"] or (row["hotplug"] and row["tran"] == "usb")):
        raise RefusedError("this disk is not removable", where=where, fix=other)
    if row["ro"]:
        raise RefusedError("this stick is read-only", where=where, fix="move its write-protect switch")
    _unused(row, where)
    if not row["size"]:
        raise RefusedError("there is no medium in it", where=where, fix="put it in, or see lsblk")
    contents = tuple(filter(None, (_content(part) for part in _rows(row))))
    return Stick(device, int(row["size"]), (row["model"] or "").strip(), row["serial"] or "", contents)


def _unused(row: dict[str, Any], where: str) -> None:
    """Refuses a disk with a mounted file system, swap, a volume group or an open encrypted disk on it."""
    places = [
        (part["path"], place) for part in _rows(row) for place in part.get("mountpoints") or () if place
    ]
    mounted = sorted(place for _, place in places if place != _SWAP)
    if mounted:
        fix = f"look at what is on it, then: umount {shlex.join(mounted)}"
        raise RefusedError(f"it is in use: mounted at {', '.join(mounted)}", where=where, fix=fix)
    swap = sorted(path for path, place in places if place == _SWAP)
    if swap:
        raise RefusedError(
            "it is in use: the system swaps to it", where=where, fix=f"swapoff {shlex.join(swap)}"
        )
    holders = sorted({f"{part['type']} {part['path']}" for part in _rows(row)[1:] if part["type"] != "part"})
    if holders:
        fix = "close that first (vgchange -an, cryptsetup close, mdadm --stop), if you know what it is"
        raise RefusedError(f"it is in use by {', '.join(holders)}", where=where, fix=fix)


def _rows(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The disk and all that lies on it."""
    return [row, *(deeper for child in row.get("children") or () for deeper in _rows(child))]


def _content(row: dict[str, Any]) -> str:
    return f"{row.get('fstype') or ''} {row.get('label') or ''}".strip()


def check_fits(image: Path, target: Path, size: int) -> int:
    """The image's size. Refuses a stick that is too small."""
    total = image.stat().st_size
    if not total:
        raise OperatorError("the image is empty", where=str(image), fix="build it: cto iso build")
    if total > size:
        fix = "use a larger stick"
        raise RefusedError(f"the image has {total} bytes, the stick {size}", where=str(target), fix=fix)
    return total


def write(image: Path, target: Path, size: int, *, done: Done) -> str:
    """Writes, flushes, reads back; the SHA-256 of what is on the stick now. `done(bytes, of)`: progress.

    The beginning is written last: what is broken off starts no machine, be it with this image or an old one.
    """
    total = check_fits(image, target, size)
    try:
        wanted = _copy(image, target, total, done)
    except KeyboardInterrupt as error:
        what = f"{target} holds a part of the image and starts no machine: run it again to write all of it"
        raise KeyboardInterrupt(what) from error
    try:
        found = _read(target, total, done)
    except KeyboardInterrupt as error:
        what = f"{target} holds all of the image, but it was not read back: run it again to be sure"
        raise KeyboardInterrupt(what) from error
    if found != wanted:
        fix = "use another stick: this one does not keep what is written to it"
        raise CheckFailed("what is read back is not what was written", where=str(target), fix=fix)
    return wanted


def _copy(image: Path, target: Path, total: int, done: Done) -> str:
    whole = hashlib.sha256()
    try:
        # O_EXCL on a block device: refused while anybody has it mounted.
        descriptor = os.open(target, os.O_WRONLY | os.O_EXCL)
    except OSError as error:
        fix = "close what uses it; writing to a device needs root"
        raise OperatorError(f"can't be opened: {error.strerror}", where=str(target), fix=fix) from error
    try:
        with image.open("rb") as source:
            first = source.read(_CHUNK)
            whole.update(first)
            _put(descriptor, bytes(len(first)), 0)
            os.fsync(descriptor)
            at = len(first)
            while part := source.read(_CHUNK):
                whole.update(part)
                _put(descriptor, part, at)
                at += len(part)
                done(at - len(first), 2 * total)
        os.fsync(descriptor)
        _put(descriptor, first, 0)
        os.fsync(descriptor)
        done(total, 2 * total)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # read it back from the stick itself
    except OSError as error:
        fix = "use another stick"
        raise NodeError(f"writing failed: {error.strerror}", where=str(target), fix=fix) from error
    finally:
        os.close(descriptor)
    return whole.hexdigest()


def _put(descriptor: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, at)
        rest, at = rest[written:], at + written


def _read(target: Path, total: int, done: Done) -> str:
    whole, seen = hashlib.sha256(), 0
    with target.open("rb") as source:
        while seen < total and (part := source.read(min(_CHUNK, total - seen))):
            whole.update(part)
            seen += len(part)
            done(total + seen, 2 * total)
    return whole.hexdigest()
