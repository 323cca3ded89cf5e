"""Disks of the lab as sparse files: zeros are holes, and the power may fail in the middle of a write.

Knows bytes only. What a table or a file system on it means is for `iso.lab.blocks` and the tools.
"""

import ctypes
import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

_BLOCK = 64 * 1024
_ZEROS = bytes(_BLOCK)
_PUNCH = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_KEPT_WRITES = 10_000


class PowerCut(Exception):
    """The power failed while this write was under way."""


class Disk:
    """One disk. See `iso.lab.api.LabDisk`."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        size: int,
        model: str = "",
        serial: str = "",
        wwid: str = "",
        rotational: bool = False,
        transport: str = "",
        sector_size: int = 512,
    ) -> None:
        self.path, self.name, self.size = path, name, size
        self.model, self.serial, self.wwid = model, serial, wwid
        self.rotational, self.transport, self.sector_size = rotational, transport, sector_size
        self.writes: deque[tuple[int, int]] = deque(maxlen=_KEPT_WRITES)  # (offset, length), for tests
        self.written = 0  # bytes since the lab started
        self.on_power_cut: Callable[[], None] = lambda: None
        self._left: int | None = None  # bytes until the power fails
        self._cached: list[tuple[int, bytes]] | None = (
            None  # what unflushed writes replaced, if that will count
        )
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._descriptor).st_size != size:
            os.ftruncate(self._descriptor, size)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(length, self.size - offset)), offset)

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.size:
            self._store(offset, data[: max(0, self.size - offset)])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"/dev/{self.name}")
        if self._left is not None and len(data) >= self._left:
            # What is half written ends at a sector: drives finish the sector they are in.
            whole = self._left // self.sector_size * self.sector_size
            self._left = None
            self._store(offset, data[:whole])
            self._lose_cache()
            self.on_power_cut()
            raise PowerCut(f"the power failed while {self.name} was written at {offset + whole}")
        if self._left is not None:
            self._left -= len(data)
        self._store(offset, data)

    def _lose_cache(self) -> None:
        """Undo what was written since the last flush, if the power cut was to take the drive's cache too."""
        lost, self._cached = self._cached or [], None
        for offset, old in reversed(lost):
            self._store(offset, old)

    def _store(self, offset: int, data: bytes) -> None:
        if self._cached is not None:
            self._cached.append((offset, self.read(offset, len(data))))
        self.writes.append((offset, len(data)))
        self.written += len(data)
        view = memoryview(data)
        done = 0
        while done < len(data):
            size = min(len(data) - done, _BLOCK - (offset + done) % _BLOCK)
            piece = view[done : done + size]
            if piece == _ZEROS[:size]:
                self._clear(offset + done, size)
            else:
                os.pwrite(self._descriptor, piece, offset + done)
            done += size

    def _clear(self, offset: int, size: int) -> None:
        """Zeros: a hole stays one, and data becomes one where the file system can do that."""
        try:
            if os.lseek(self._descriptor, offset, os.SEEK_DATA) >= offset + size:
                return
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data up to the end
                return
        if not _punch(self._descriptor, offset, size):
            os.pwrite(self._descriptor, _ZEROS[:size], offset)

    def flush(self) -> None:
        """From here on a power cut can't take back what was written."""
        if self._cached is not None:
            self._cached.clear()

    def cut_power_after(self, size: int, *, lose_cache: bool = False) -> None:
        """Fail the power in the write that reaches `size` bytes from now on.

        `lose_cache`: the drive has a write cache, and everything since the last flush is lost with it.
        """
        self._left = size
        self._cached = [] if lose_cache else None

    def used(self) -> int:
        """Bytes the file really takes."""
        return os.fstat(self._descriptor).st_blocks * 512

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _punch(descriptor: int, offset: int, size: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate"):
        return False
    result: int = libc.fallocate(descriptor, _PUNCH, ctypes.c_long(offset), ctypes.c_long(size))
    return result == 0
