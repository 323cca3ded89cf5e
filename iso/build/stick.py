"""Writes an image to a USB stick: only to a removable, unused and large enough one; proves it by reading.

Does not ask; who calls this has asked.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inventory.errors import CheckFailed, NodeError, OperatorError, RefusedError
from iso.build import tools

_CHUNK = 4 * 1024 * 1024
_COLUMNS = "PATH,SIZE,RM,HOTPLUG,RO,TYPE,TRAN,MODEL,SERIAL,MOUNTPOINTS"
Done = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Stick:
    path: Path
    size: int
    model: str
    serial: str


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
    mounted = sorted(_mounts(row))
    if mounted:
        fix = f"look at what is on it, then: umount {' '.join(mounted)}"
        raise RefusedError(f"it is in use: mounted at {', '.join(mounted)}", where=where, fix=fix)
    return Stick(device, int(row["size"]), (row["model"] or "").strip(), row["serial"] or "")


def _mounts(row: dict[str, Any]) -> Iterator[str]:
    yield from (place for place in row.get("mountpoints") or () if place)
    for child in row.get("children") or ():
        yield from _mounts(child)


def write(image: Path, target: Path, size: int, *, done: Done) -> str:
    """Writes, flushes, reads back; the SHA-256 of what is on the stick now. `done(bytes, of)`: progress."""
    total = image.stat().st_size
    if total > size:
        fix = "use a larger stick"
        raise RefusedError(f"the image has {total} bytes, the stick {size}", where=str(target), fix=fix)
    wanted = _copy(image, target, total, done)
    if _read(target, total, done) != wanted:
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
            written = 0
            while part := source.read(_CHUNK):
                whole.update(part)
                _all(descriptor, part)
                written += len(part)
                done(written, 2 * total)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # read it back from the stick itself
    except OSError as error:
        fix = "use another stick"
        raise NodeError(f"writing failed: {error.strerror}", where=str(target), fix=fix) from error
    finally:
        os.close(descriptor)
    return whole.hexdigest()


def _all(descriptor: int, part: bytes) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read(target: Path, total: int, done: Done) -> str:
    whole, seen = hashlib.sha256(), 0
    with target.open("rb") as source:
        while seen < total and (part := source.read(min(_CHUNK, total - seen))):
            whole.update(part)
            seen += len(part)
            done(total + seen, 2 * total)
    return whole.hexdigest()
