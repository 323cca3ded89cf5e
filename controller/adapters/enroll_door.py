"""The door that machines knock at: TLS 1.3 on named addresses, with limits on how often, how long, how much.

A connection is counted before TLS begins, so that a flood costs little. What is said is the desk's business.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controller.adapters.interfaces import to_listen_on
from controller.adapters.tls import server_context
from controller.app.enrollment.ports import Identity, Peer, PeerFault
from controller.app.ports import Clock
from controller.core.enrollment.limits import Admission
from inventory.errors import FleetError, OperatorError
from roles.enrollment.messages import MAX_BYTES

_END = b"\n"  # a message has none in it
Refused = Callable[[str, str, str], None]
Attend = Callable[[Peer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. A machine needs well under one for each."""

    handshake: float = 5.0
    message: float = 10.0
    goodbye: float = 2.0


class TlsDoor:
    def __init__(self, clock: Clock, *, deadlines: Deadlines | None = None) -> None:
        self._clock, self._deadlines = clock, deadlines or Deadlines()

    def addresses(self, interfaces: Sequence[str]) -> Sequence[str]:
        return to_listen_on(interfaces)

    @asynccontextmanager
    async def listen(
        self, addresses: Sequence[str], port: int, identity: Identity, *, attend: Attend, refused: Refused
    ) -> AsyncIterator[Sequence[tuple[str, int]]]:
        """See `controller.app.enrollment.ports`. Port 0 takes a free one."""
        sockets = _bind(addresses, port)
        context = server_context(identity.certificate, bytes(identity.key))
        room = _Room(context, self._clock, self._deadlines, attend, refused)
        accepting = [asyncio.ensure_future(room.accept(each)) for each in sockets]
        try:
            yield [each.getsockname()[:2] for each in sockets]
        finally:
            for task in (*accepting, *room.tasks):
                task.cancel()
            await asyncio.gather(*accepting, *room.tasks, return_exceptions=True)
            for each in sockets:
                each.close()


class _Room:
    """All connections of one opening."""

    def __init__(
        self, context: ssl.SSLContext, clock: Clock, deadlines: Deadlines, attend: Attend, refused: Refused
    ) -> None:
        self._context, self._clock, self._deadlines = context, clock, deadlines
        self._attend, self._refused = attend, refused
        self._admission = Admission()
        self.tasks: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, place = await loop.sock_accept(listener)
            except OSError:  # out of descriptors, or it was gone before we looked
                await self._clock.sleep(0.1)
                continue
            address = str(place[0])
            why = self._admission.admit(address, self._clock.monotonic())
            if why:
                connection.close()
                self._refused("flood", address, why)
                continue
            task = asyncio.ensure_future(self._serve(connection, address))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _serve(self, connection: socket.socket, address: str) -> None:
        settle = _Once(self._admission.settled)
        peer: _TlsPeer | None = None
        try:
            peer = await self._greet(connection, address, settle)
            if peer is not None:
                await self._attend(peer)
        except (PeerFault, OSError):
            pass  # it left: what was decided is kept, and it may ask again
        except FleetError as error:
            self._refused(
                "order", address, error.what
            )  # ours: the store is full, say; the machine asks again
        finally:
            settle()
            if peer is not None:
                await peer.close()

    async def _greet(
        self, connection: socket.socket, address: str, settle: Callable[[], None]
    ) -> "_TlsPeer | None":
        """TLS, or None with the reason told."""
        loop, deadlines = asyncio.get_running_loop(), self._deadlines
        reader = asyncio.StreamReader(limit=MAX_BYTES + len(_END))
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=deadlines.handshake,
                ssl_shutdown_timeout=deadlines.goodbye,
            )
        except (OSError, ssl.SSLError) as error:
            connection.close()
            slow = isinstance(error, ConnectionAbortedError)  # what asyncio makes of the time-out
            self._refused("slow" if slow else "tls", address, "")
            return None
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return _TlsPeer(reader, writer, address, deadlines, settle)


class _TlsPeer:
    """See `controller.app.enrollment.ports.Peer`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: str,
        deadlines: Deadlines,
        settle: Callable[[], None],
    ) -> None:
        self.address = address
        self._reader, self._writer, self._deadlines, self._settle = reader, writer, deadlines, settle
        self._next: asyncio.Task[bytes] | None = None

    async def send(self, message: bytes) -> None:
        self._writer.write(message + _END)
        try:
            async with asyncio.timeout(self._deadlines.message):
                await self._writer.drain()
        except (TimeoutError, OSError):
            raise PeerFault("gone") from None

    async def receive(self) -> bytes:
        try:
            async with asyncio.timeout(self._deadlines.message):
                line = await self._reader.readuntil(_END)
        except TimeoutError:
            raise PeerFault("slow") from None
        except asyncio.LimitOverrunError:
            raise PeerFault("oversize") from None
        except (asyncio.IncompleteReadError, OSError):
            raise PeerFault("gone") from None
        return line[: -len(_END)]

    def settled(self) -> None:
        self._settle()

    async def silent(self, seconds: float) -> bool:
        if self._next is None:
            self._next = asyncio.ensure_future(self._reader.read(1))
        done, _ = await asyncio.wait([self._next], timeout=seconds)
        return not done

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        self._writer.close()
        try:
            async with asyncio.timeout(self._deadlines.goodbye):
                await self._writer.wait_closed()
        except (TimeoutError, OSError, ssl.SSLError):
            self._writer.transport.abort()


class _Once:
    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def __call__(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()


def _bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """All of them or none."""
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            bound.append(listener)
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(64)
            port = port or listener.getsockname()[1]  # one port everywhere: it is announced once
    except OSError as error:
        for listener in bound:
            listener.close()
        raise OperatorError(
            f"port {port} can't be listened on: {error.strerror or error}",
            where=", ".join(addresses),
            fix="give another with --port; machines that find us by mDNS learn it by themselves",
        ) from error
    return bound
