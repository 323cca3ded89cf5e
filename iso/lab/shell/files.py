"""The file tree of a machine's bootstrap environment, in memory. Lost with the power, as a RAM disk is.

Devices are nodes like any other; what they read and write is their owner's business (`iso.lab.disk`).
"""

import errno
import fnmatch
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from iso.lab.shell.streams import Reader, Source

_MAX_LINKS = 40
_NEVER: Mapping[str, "Node"] = {}


class Device(Protocol):
    """A device node. `block` ones have a size and positions."""

    @property
    def block(self) -> bool: ...
    @property
    def size(self) -> int: ...
    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def close_after_write(self) -> None: ...


@dataclass(slots=True)
class File:
    data: bytes = b""
    mode: int = 0o644
    mtime: float = 0.0


@dataclass(slots=True)
class Link:
    target: str


@dataclass(slots=True)
class Dir:
    """`live`, if given, adds entries that are computed anew at each look (device nodes, partitions)."""

    children: dict[str, "Node"] = field(default_factory=dict)
    live: Callable[[], Mapping[str, "Node"]] | None = None

    def entries(self) -> Mapping[str, "Node"]:
        return {**self.live(), **self.children} if self.live else self.children


Node = File | Link | Dir | Device


def problem(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


class FileTree:
    """Paths are absolute and POSIX. Raises OSError with errno and path, as the kernel would."""

    def __init__(self) -> None:
        self.root = Dir()

    def find(self, path: str, *, follow: bool = True, _depth: int = 0) -> Node | None:
        """The node at `path`, or None. `follow`: through a link in the last place too."""
        return self._walk(path, follow, _depth)[1]

    def real_path(self, path: str) -> str:
        """`path` with every link resolved; its last part need not exist."""
        return self._walk(path, follow=True, depth=0)[0]

    def _walk(self, path: str, follow: bool, depth: int) -> tuple[str, Node | None]:
        if depth > _MAX_LINKS:
            raise problem(errno.ELOOP, path)
        node: Node | None = self.root
        parts = [part for part in posixpath.normpath(path).split("/") if part]
        here = "/"
        for index, part in enumerate(parts):
            node = node.entries().get(part) if isinstance(node, Dir) else None
            last = index == len(parts) - 1
            if isinstance(node, Link) and (follow or not last):
                rest = "/".join(parts[index + 1 :])
                target = (
                    posixpath.join(here, node.target, rest) if rest else posixpath.join(here, node.target)
                )
                return self._walk(target, follow, depth + 1)
            here = posixpath.join(here, part)
            if node is None:
                return posixpath.join(here, *parts[index + 1 :]), None
        return here, node

    def get(self, path: str) -> Node:
        node = self.find(path)
        if node is None:
            raise problem(errno.ENOENT, path)
        return node

    def directory(self, path: str) -> Dir:
        node = self.get(path)
        if not isinstance(node, Dir):
            raise problem(errno.ENOTDIR, path)
        return node

    def make_dirs(self, path: str) -> Dir:
        here = self.root
        for part in [part for part in posixpath.normpath(path).split("/") if part]:
            node = here.children.get(part)
            if isinstance(node, Link):
                node = self.find(posixpath.join("/", node.target))
            if node is None:
                node = here.children[part] = Dir()
            if not isinstance(node, Dir):
                raise problem(errno.ENOTDIR, path)
            here = node
        return here

    def put(self, path: str, node: Node | bytes | str) -> None:
        """Set what is at `path`, making the folders above it. For building a tree, not for its commands."""
        if isinstance(node, str):
            node = node.encode("utf-8", "surrogateescape")
        folder, name = posixpath.split(posixpath.normpath(path))
        self.make_dirs(folder).children[name] = File(node) if isinstance(node, bytes) else node

    def parent(self, path: str) -> tuple[Dir, str]:
        """The existing folder that holds (or would hold) `path`, and the name in it."""
        folder, name = posixpath.split(posixpath.normpath(path))
        return self.directory(folder), name

    def remove(self, path: str) -> None:
        folder, name = self.parent(path)
        if name not in folder.children:
            raise problem(errno.ENOENT if name not in folder.entries() else errno.EPERM, path)
        del folder.children[name]

    def read(self, path: str) -> bytes:
        node = self.get(path)
        if isinstance(node, Dir):
            raise problem(errno.EISDIR, path)
        if isinstance(node, File):
            return node.data
        if isinstance(node, Link):
            raise problem(errno.ELOOP, path)
        return node.read(0, node.size)

    def reader(self, path: str) -> Reader:
        node = self.get(path)
        if isinstance(node, (File, Dir, Link)):
            return Source(self.read(path))
        return DeviceReader(node)

    def writer(self, path: str, *, append: bool = False, now: float = 0.0) -> "FileWriter | DeviceWriter":
        real = self.real_path(path)
        node = self.find(real)
        if isinstance(node, Dir):
            raise problem(errno.EISDIR, path)
        if node is None:
            folder, name = self.parent(real)
            node = folder.children[name] = File()
        if isinstance(node, File):
            node.mtime = now
            if not append:
                node.data = b""
            return FileWriter(node)
        if isinstance(node, Link):
            raise problem(errno.ELOOP, path)
        return DeviceWriter(node)

    def glob(self, pattern: str) -> list[str]:
        """The paths that match an absolute pattern of *, ? and […], sorted; hidden names need a dot."""
        found = ["/"]
        for part in [part for part in pattern.split("/") if part]:
            found = [path for base in found for path in self._matches(base, part)]
        return sorted(found)

    def _matches(self, base: str, part: str) -> Iterator[str]:
        if not any(char in part for char in "*?["):
            path = posixpath.join(base, part)
            if self.find(path, follow=False) is not None:
                yield path
            return
        node = self.find(base)
        for name in node.entries() if isinstance(node, Dir) else _NEVER:
            if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith(".")):
                yield posixpath.join(base, name)


class DeviceReader:
    """Reads a device from its start on."""

    def __init__(self, device: Device, offset: int = 0) -> None:
        self.device, self.offset = device, offset

    async def read(self, limit: int) -> bytes:
        data = self.device.read(self.offset, limit)
        self.offset += len(data)
        return data


class DeviceWriter:
    """Writes a device from its start on."""

    def __init__(self, device: Device, offset: int = 0) -> None:
        self.device, self.offset = device, offset

    async def write(self, data: bytes) -> None:
        self.device.write(self.offset, data)
        self.offset += len(data)

    def close(self) -> None:
        self.device.close_after_write()


class FileWriter:
    """Appends to a file of the tree; a file larger than 64 MiB does not fit into the machine's memory."""

    _CAP = 64 * 1024 * 1024

    def __init__(self, file: File) -> None:
        self._file = file

    async def write(self, data: bytes) -> None:
        if len(self._file.data) + len(data) > self._CAP:
            raise problem(errno.ENOSPC, "")
        self._file.data += data

    def close(self) -> None: ...
