"""What an etcd snapshot holds, and whether it is whole: its checksum, its database, its revisions.

A good report proves that the bytes are those that etcd sent and that every page in use is in order. It does
not prove that an etcd starts with them: only a restore does.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.core.bolt import Database, Entry, Read
from inventory.errors import CheckFailed

SUM = 32  # etcd writes the SHA-256 of the database behind it
_PAGE = 512  # a database is whole pages, so that a missing checksum shows in the size
_REVISION = 17  # main, "_", sub; one byte more marks a deletion
_AGAIN = "take it again, or use another one"


@dataclass(frozen=True, slots=True)
class Contents:
    """`keys` live ones; `revisions` with their history; `members` as etcd knew them then."""

    size: int
    sha256: str
    keys: int
    revisions: int
    revision: int  # the latest
    index: int  # of the last raft entry that is in it
    members: int
    pages: int  # that were looked at


class TrailingSum:
    """Follows a snapshot as it goes by. `add` each part, then ask `problem`; `sha256` is of the whole."""

    def __init__(self) -> None:
        self.size = 0
        self._tail = b""
        self._whole, self._body = hashlib.sha256(), hashlib.sha256()

    def add(self, part: bytes) -> None:
        self.size += len(part)
        self._whole.update(part)
        seen = self._tail + part
        self._body.update(seen[:-SUM])
        self._tail = seen[-SUM:]

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    @property
    def problem(self) -> str:
        """Why it is not whole; empty if it is."""
        if self.size % _PAGE != SUM:
            return f"it was cut short, or is no snapshot ({self.size} bytes, no checksum at the end)"
        return "" if self._body.digest() == self._tail else "it does not match its own checksum"


@dataclass(slots=True)
class _Count:
    keys: set[bytes] = field(default_factory=set)
    revisions: int = 0
    revision: int = 1  # of an etcd that nothing was written to
    index: int = 0
    members: int = 0


def inspect(read: Read, size: int, *, where: str) -> Contents:
    """Reads all of it twice: once for the checksum, once along its trees. Raises CheckFailed."""
    total = TrailingSum()
    for part in _parts(read, size):
        total.add(part)
    if total.problem:
        raise CheckFailed(total.problem, where=where, fix=_AGAIN)
    database = Database(read, size - SUM, where=where)
    count, names = _Count(), set[bytes]()
    for name, entries in database.buckets():
        names.add(name)
        _note(count, name, entries, where)
    if not {b"key", b"meta"} <= names:
        what = "it is a database of something else: etcd's buckets key and meta are not in it"
        raise CheckFailed(what, where=where, fix="name a snapshot that etcd made")
    return Contents(
        size,
        total.sha256,
        len(count.keys),
        count.revisions,
        count.revision,
        count.index,
        count.members,
        database.visited,
    )


def _note(count: _Count, name: bytes, entries: Iterator[Entry], where: str) -> None:
    for entry in entries:
        if name == b"key":
            _note_revision(count, entry, where)
        elif name == b"members":
            count.members += 1
        elif name == b"meta" and entry.key == b"consistent_index":
            count.index = int.from_bytes(entry.value, "big")


def _note_revision(count: _Count, entry: Entry, where: str) -> None:
    if len(entry.key) not in (_REVISION, _REVISION + 1) or entry.key[8:9] != b"_":
        raise CheckFailed("the name of a revision is not one", where=where, fix=_AGAIN)
    count.revisions += 1
    count.revision = int.from_bytes(entry.key[:8], "big")
    key = _key_of(entry.value)
    if key is None:
        raise CheckFailed(f"revision {count.revision} can't be read", where=where, fix=_AGAIN)
    if len(entry.key) > _REVISION:
        count.keys.discard(key)
    else:
        count.keys.add(key)


def _key_of(value: bytes) -> bytes | None:
    """The first field of an mvccpb.KeyValue: tag 1, length, the key."""
    if value[:1] != b"\x0a":
        return None
    length, shift, at = 0, 0, 1
    while at < len(value) and shift < 35:
        byte = value[at]
        length |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value[at : at + length] if at + length <= len(value) else None
    return None


def _parts(read: Read, size: int, step: int = 1 << 20) -> Iterator[bytes]:
    for offset in range(0, size, step):
        yield read(offset, min(step, size - offset))
