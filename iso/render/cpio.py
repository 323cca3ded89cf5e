"""Archives that the kernel unpacks as initramfs: "newc" cpio (kernel: early-userspace/buffer-format).

Always the same bytes for the same entries. Reads no file; large contents come as chunks.
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_TRAILER = "TRAILER!!!"
MAX_SIZE = 0xFFFFFFFF  # eight hex digits


@dataclass(frozen=True, slots=True)
class Entry:
    """One name. A directory has no content; `chunks` with `size` replace `content` where it is large."""

    name: str  # without a leading slash
    content: bytes = b""
    mode: int = 0o644
    directory: bool = False
    link: str = ""
    chunks: Iterable[bytes] | None = field(default=None, compare=False)
    size: int = 0

    @property
    def file_mode(self) -> int:
        if self.directory:
            return stat.S_IFDIR | self.mode
        return stat.S_IFLNK | 0o777 if self.link else stat.S_IFREG | self.mode


def archive(entries: Iterable[Entry], *, mtime: int) -> Iterator[bytes]:
    """The archive's bytes, in parts. Missing parent directories are put in; all belongs to root."""
    known: set[str] = set()
    number = 0
    for entry in _with_parents(entries):
        if entry.name in known:
            continue
        known.add(entry.name)
        number += 1
        content = entry.link.encode() if entry.link else entry.content
        size = entry.size if entry.chunks is not None else len(content)
        yield _header(number, entry.name, entry.file_mode, size, mtime)
        if entry.chunks is None:
            yield content
        else:
            yield from entry.chunks
        yield bytes(-size % 4)
    yield _header(0, _TRAILER, 0, 0, 0)


def _with_parents(entries: Iterable[Entry]) -> Iterator[Entry]:
    for entry in entries:
        parts = entry.name.split("/")
        for depth in range(1, len(parts)):
            yield Entry("/".join(parts[:depth]), mode=0o755, directory=True)
        yield entry


def _header(inode: int, name: str, mode: int, size: int, mtime: int) -> bytes:
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, mtime, size, 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + encoded
    return head + bytes(-len(head) % 4)
