"""Stores an etcd snapshot as it streams in: bounded, hashed, and in its place only once it is whole.

etcd ends a snapshot with the SHA-256 of what precedes it (etcdutl checks the same before a restore). Does
not look into the database.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from controller.app.talos_port import Snapshot
from inventory.errors import CheckFailed, NodeError, OperatorError

_BUFFER = 1 << 20
_PAGE, _SUM = 512, 32  # a database is whole pages, so the checksum shows in the size


async def save(chunks: AsyncIterator[bytes], path: Path, max_bytes: int, *, node: str) -> Snapshot:
    """Replaces `path` only by a whole, verified snapshot. `node` is the name in errors."""
    partial = path.with_name(f"{path.name}.part")
    try:
        with contextlib.closing(_Writer(partial, max_bytes, node)) as writer:
            async for chunk in chunks:
                await writer.add(chunk)
            size, sha256 = await writer.finish()
        partial.replace(path)
    except OSError as error:
        raise OperatorError(
            f"the snapshot can't be stored ({error.strerror})",
            where=str(path),
            fix="check that the folder is there, writable and has room",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return Snapshot(path, size, sha256)


class _Writer:
    def __init__(self, path: Path, max_bytes: int, node: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._max, self._node = max_bytes, node
        self._buffer = bytearray()
        self._tail = b""  # the last 32 bytes so far: not part of what they are the sum of
        self._whole, self._body = hashlib.sha256(), hashlib.sha256()
        self._size = 0

    async def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._max:
            raise NodeError(
                f"its etcd snapshot is larger than {self._max} bytes",
                where=self._node,
                fix="allow more, or compact and defragment etcd first",
            )
        self._buffer += chunk
        if len(self._buffer) >= _BUFFER:
            await asyncio.to_thread(self._flush)

    async def finish(self) -> tuple[int, str]:
        await asyncio.to_thread(self._flush)
        if self._size % _PAGE != _SUM:
            raise CheckFailed(
                f"its etcd snapshot was cut short ({self._size} bytes, no checksum)",
                where=self._node,
                fix="take it again",
            )
        if self._body.digest() != self._tail:
            raise CheckFailed(
                "its etcd snapshot does not match its checksum", where=self._node, fix="take it again"
            )
        await asyncio.to_thread(os.fsync, self._descriptor)
        return self._size, self._whole.hexdigest()

    def _flush(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._whole.update(data)
        seen = self._tail + data
        self._body.update(seen[:-_SUM])
        self._tail = seen[-_SUM:]

    def close(self) -> None:
        os.close(self._descriptor)
