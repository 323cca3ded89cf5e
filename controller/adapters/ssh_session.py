"""One command on one channel: output with caps, standard input under back-pressure. Knows no connections.

Written on asyncssh's callback session rather than its process objects: no stream readers, no encoder,
no task per stream, which is what keeps 200 machines at the cost of a bare loop.
"""

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import cast

from controller.adapters.ssh_library import asyncssh
from controller.app.ssh_port import Completed

_PIECE = 256 * 1024  # bytes handed to the channel at once


class Command(asyncssh.SSHClientSession[bytes]):
    """Collects at most `max_bytes` of each output stream; more ends the command."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._out: dict[bool, bytearray] = {False: bytearray(), True: bytearray()}
        self._truncated = False
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._finishing = False

    # What asyncssh calls

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        kept = self._out[datatype == asyncssh.EXTENDED_DATA_STDERR]
        room = self._max - len(kept)
        kept += data[:room]
        if len(data) > room and not self._truncated:
            self._truncated = True
            self.abort()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def exit_status_received(self, status: int) -> None:  # noqa: ARG002 - asyncssh's signature
        self._stop_feeding()

    def exit_signal_received(self, *_details: object) -> None:
        self._stop_feeding()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_feeding()
        if not self._done.done():
            self._done.set_result(exc)

    def _stop_feeding(self) -> None:
        self._finishing = True  # nobody reads standard input any more
        self._writable.set()

    # What the adapter calls

    async def feed(self, chunks: AsyncIterable[bytes], sent: Callable[[int], None]) -> None:
        """Send everything, never faster than the other side takes it, then end of file.

        A command that ends before it read everything is no error here: its status tells.
        """
        async for chunk in chunks:
            for start in range(0, len(chunk), _PIECE):
                piece = chunk[start : start + _PIECE]
                if not await self._write(piece):
                    return
                sent(len(piece))
        self.end_of_input()

    async def _write(self, piece: bytes) -> bool:
        await self._writable.wait()
        if self._finishing:
            return False
        try:
            self._chan().write(piece)
        except BrokenPipeError:
            return False
        return True

    def end_of_input(self) -> None:
        if not self._finishing:
            self._chan().write_eof()

    async def finished(self) -> Completed:
        """Wait for the end. Raises the connection's error if it broke before the command ended."""
        lost = await self._done
        status = self._chan().get_exit_status()
        if lost is not None and status is None and not self._truncated:
            raise lost
        # asyncssh gives -1 for a signal; None (no status at all, or ended by us) is as unknown as that.
        return Completed(
            -1 if status is None else status, bytes(self._out[False]), bytes(self._out[True]), self._truncated
        )

    def abort(self) -> None:
        if self._channel is not None:
            self._channel.abort()

    def _chan(self) -> asyncssh.SSHClientChannel[bytes]:
        return cast("asyncssh.SSHClientChannel[bytes]", self._channel)
