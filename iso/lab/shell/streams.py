"""Byte streams between the commands of the lab's shell, with back-pressure. Knows no commands or files."""

import asyncio
import errno
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

CHUNK = 256 * 1024
_PIPE_BYTES = 1024 * 1024  # how far a writer may run ahead of its reader


class Reader(Protocol):
    async def read(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes; nothing at the end."""
        ...


class Writer(Protocol):
    async def write(self, data: bytes) -> None:
        """Returns when the other side keeps up. Raises BrokenPipeError when nobody reads any more."""
        ...


class Pipe:
    """A bounded pipe. Each end is closed by whoever ran the command at that end."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._ended = False  # the writer is done
        self._broken = False  # the reader is gone

    async def read(self, limit: int) -> bytes:
        while not self._chunks:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        chunk = self._chunks.popleft()
        if len(chunk) > limit:
            self._chunks.appendleft(chunk[limit:])
            chunk = chunk[:limit]
        self._size -= len(chunk)
        self._changed.set()
        return chunk

    async def write(self, data: bytes) -> None:
        if not data:
            return
        while self._size >= _PIPE_BYTES and not self._broken:
            self._changed.clear()
            await self._changed.wait()
        if self._broken:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        self._chunks.append(bytes(data))
        self._size += len(data)
        self._changed.set()

    def end(self) -> None:
        """The writer's side: no more bytes come."""
        self._ended = True
        self._changed.set()

    def break_(self) -> None:
        """The reader's side: nobody reads any more."""
        self._broken = True
        self._chunks.clear()
        self._changed.set()


class Source:
    """Reads from bytes that are there already."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = memoryview(data)

    async def read(self, limit: int) -> bytes:
        chunk, self._data = bytes(self._data[:limit]), self._data[limit:]
        return chunk


class Collector:
    """Keeps what is written, up to a cap: `$(…)` and tests. The rest is counted and dropped."""

    def __init__(self, cap: int = 16 * 1024 * 1024) -> None:
        self.data = bytearray()
        self.total = 0
        self._cap = cap

    async def write(self, data: bytes) -> None:
        self.total += len(data)
        self.data += data[: max(0, self._cap - len(self.data))]


class Nowhere:
    """/dev/null, both ways."""

    async def read(self, limit: int) -> bytes:  # noqa: ARG002 - the protocol's parameter
        return b""

    async def write(self, data: bytes) -> None: ...


async def chunks(reader: Reader, size: int = CHUNK) -> AsyncIterator[bytes]:
    """Everything that comes, as it comes."""
    while chunk := await reader.read(size):
        yield chunk


async def read_exactly(reader: Reader, size: int) -> bytes:
    """`size` bytes, fewer only at the end."""
    parts = bytearray()
    while len(parts) < size and (chunk := await reader.read(size - len(parts))):
        parts += chunk
    return bytes(parts)


async def read_all(reader: Reader, cap: int = 64 * 1024 * 1024) -> bytes:
    """Everything, up to `cap` bytes."""
    parts = bytearray()
    while len(parts) < cap and (chunk := await reader.read(CHUNK)):
        parts += chunk
    return bytes(parts)


async def read_line(reader: Reader) -> bytes:
    """One line with its newline, byte by byte so that nothing of the next line is taken (as `read` does)."""
    line = bytearray()
    while byte := await reader.read(1):
        line += byte
        if byte == b"\n":
            break
    return bytes(line)
