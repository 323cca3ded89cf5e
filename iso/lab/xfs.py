"""The lab's stand-in for XFS: a superblock that probers know, and one checksummed JSON record behind it.

`mkfs.xfs`, `mount` and the lab's Talos use it for STATE and EPHEMERAL. It is honest about what counts here:
what was not written back by an unmount is lost with the power, and half of a record is no record. It is no
XFS: real disks and kernels can't read it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

MAGIC = b"XFSB"
SMALLEST = 300 << 20  # real mkfs.xfs (xfsprogs 5.19 and later) makes no smaller one
RECORD_AT = 4096  # behind the superblock
_RECORD = b"LABTALOS"
_LONGEST = 4 << 20


class Area(Protocol):
    """A disk, or a stretch of one."""

    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...


def make(area: Area, label: str, uuid: bytes = bytes(16), *, at: int = 0) -> None:
    """A new, empty file system. What an earlier one stored there does not count any more."""
    area.write(at + RECORD_AT, bytes(64))
    head = MAGIC.ljust(32, b"\0") + uuid.ljust(76, b"\0") + label.encode()[:12].ljust(12, b"\0")
    area.write(at, head.ljust(512, b"\0"))


def is_made(area: Area) -> bool:
    return area.read(0, 4) == MAGIC


def load(area: Area, *, at: int = 0) -> dict[str, Any] | None:
    """The record; None if there is none, or not all of one."""
    start = at + RECORD_AT
    head = area.read(start, 48)
    length = int.from_bytes(head[8:16], "big")
    if head[:8] != _RECORD or length > _LONGEST:
        return None
    data = area.read(start + 48, length)
    if hashlib.sha256(data).digest() != head[16:48]:
        return None
    found = json.loads(data)
    return found if isinstance(found, dict) else None


def save(area: Area, record: Mapping[str, Any], *, at: int = 0) -> None:
    data = json.dumps(record).encode()
    head = _RECORD + len(data).to_bytes(8, "big") + hashlib.sha256(data).digest()
    area.write(at + RECORD_AT, head + data)
