"""gRPC calls to one Talos node: deadlines, size limits, and every failure as one of our errors.

Knows nothing of what the calls mean; `controller.adapters.talos` does. Repeats nothing but a read, once.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from grpclib.client import Channel, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from facts.talos.messages import message, method
from inventory.errors import NodeError, NotYet, RefusedError, Unreachable

MAX_MESSAGE = 32 << 20  # what Talos itself sends at most (GRPCMaxMessageSize)

_UNREACHABLE = (Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.CANCELLED)
_FIXES = {
    Status.UNIMPLEMENTED: "its Talos version or mode (maintenance) does not offer this; check the version",
    Status.PERMISSION_DENIED: "use a certificate with the role os:admin, made from this cluster's secrets",
    Status.UNAUTHENTICATED: "use a certificate made from this cluster's secrets",
    Status.INVALID_ARGUMENT: "correct what was sent; the node did not change anything",
    Status.RESOURCE_EXHAUSTED: "the answer or the node's storage is full; look at the node",
}


class AlreadyDone(NodeError):
    """gRPC AlreadyExists: what was asked for was there before."""


class ConnectionLost(Unreachable):
    """The connection could not be made, or broke before the answer was whole."""


class Calls:
    """Calls over one channel. `node` is the name in error messages."""

    def __init__(self, channel: Channel, node: str) -> None:
        self._channel = channel
        self._node = node

    async def read(self, path: str, request: Any, *, deadline: float) -> Any:
        """As `unary`, for calls that change nothing: if the connection broke, it is asked once more.

        A node that came back from a reboot leaves such connections behind.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + deadline
        try:
            return await self.unary(path, request, deadline=deadline)
        except ConnectionLost:
            return await self.unary(path, request, deadline=max(ends - loop.time(), 0.001))

    async def unary(self, path: str, request: Any, *, deadline: float) -> Any:
        """The one answer. A per-node entry (`messages`) that carries an error is raised."""
        wire = method(path)
        call = UnaryUnaryMethod(self._channel, path, message(wire.request), message(wire.response))
        async with _guarded(self._node, _name(path), deadline), call.open(timeout=deadline) as stream:
            await stream.send_message(request, end=True)
            await stream.recv_initial_metadata()
            _limit(stream, self._node)
            reply = await stream.recv_message()
        if reply is None:
            raise NodeError(
                f"no answer to {_name(path)}", where=self._node, fix="try again; then look at the node's log"
            )
        self._raise_entry(path, reply)
        return reply

    async def send(self, path: str, requests: AsyncIterator[Any], *, deadline: float) -> Any:
        """The one answer to many requests. Asked once, whatever happens."""
        wire = method(path)
        call = StreamUnaryMethod(self._channel, path, message(wire.request), message(wire.response))
        async with _guarded(self._node, _name(path), deadline), call.open(timeout=deadline) as stream:
            async for request in requests:
                await stream.send_message(request)
            await stream.end()
            await stream.recv_initial_metadata()
            _limit(stream, self._node)
            reply = await stream.recv_message()
        if reply is None:
            raise NodeError(f"no answer to {_name(path)}", where=self._node, fix="look at the node's log")
        self._raise_entry(path, reply)
        return reply

    async def stream(self, path: str, request: Any, *, deadline: float) -> AsyncGenerator[Any, None]:
        """The answers one by one. The deadline is for all of them, not for the caller's own work."""
        wire = method(path)
        ends = asyncio.get_running_loop().time() + deadline
        call = UnaryStreamMethod(self._channel, path, message(wire.request), message(wire.response))
        with translated(self._node, _name(path), deadline):
            async with call.open(timeout=deadline) as stream:
                async with asyncio.timeout_at(ends):
                    await stream.send_message(request, end=True)
                    await stream.recv_initial_metadata()
                _limit(stream, self._node)
                while True:
                    async with asyncio.timeout_at(ends):
                        reply = await stream.recv_message()
                    if reply is None:
                        return
                    self._raise_metadata(path, reply)
                    yield reply

    def _raise_entry(self, path: str, reply: Any) -> None:
        if "messages" in reply.DESCRIPTOR.fields_by_name:
            for entry in reply.messages:
                self._raise_metadata(path, entry)

    def _raise_metadata(self, path: str, entry: Any) -> None:
        """A node that proxies answers OK and says per node what failed."""
        if "metadata" not in entry.DESCRIPTOR.fields_by_name or not hasattr(entry.metadata, "error"):
            return
        found = entry.metadata
        if found.error or found.status.code:
            status = next((one for one in Status if one.value == found.status.code), Status.UNKNOWN)
            text = found.error or found.status.message
            raise _error(status, text, found.hostname or self._node, _name(path))


@asynccontextmanager
async def _guarded(node: str, call: str, deadline: float) -> AsyncIterator[None]:
    with translated(node, call, deadline):
        async with asyncio.timeout(deadline):
            yield


@contextmanager
def translated(node: str, call: str, deadline: float) -> Iterator[None]:
    """grpclib's, OpenSSL's and the operating system's errors as ours, naming node and call."""
    try:
        yield
    except GRPCError as error:
        raise _error(error.status, error.message or "", node, call) from error
    except ssl.SSLCertVerificationError as error:
        raise NodeError(
            f"its certificate is not one of this cluster for that address ({error.verify_message})",
            where=node,
            fix="another machine holds the address, or the node is in maintenance mode; see its console",
        ) from error
    except TimeoutError as error:
        raise Unreachable(
            f"no answer to {call} in {deadline:g} s", where=node, fix="check its power, cable and address"
        ) from error
    except (OSError, StreamTerminatedError, ProtocolError, AssertionError) as error:
        # grpclib itself asserts that a message was not cut short.
        raise ConnectionLost(
            f"the connection failed in {call} ({error or type(error).__name__})",
            where=node,
            fix="check that it is up; a node closes like this on a certificate of another cluster, too",
        ) from error
    except NotImplementedError as error:
        raise NodeError(
            f"{call}: {error}", where=node, fix="check that a Talos node answers there"
        ) from error


def _error(status: Status, text: str, node: str, call: str) -> NodeError | RefusedError:
    what = f"{call}: {text or status.name.lower().replace('_', ' ')}"
    if status in _UNREACHABLE:
        return Unreachable(what, where=node, fix="check that the node is up, then try again")
    if status is Status.FAILED_PRECONDITION:
        return NotYet(what, where=node, fix="wait; the node says when it can")
    if status is Status.ALREADY_EXISTS:
        return AlreadyDone(what, where=node, fix="nothing: it was done before")
    return NodeError(what, where=node, fix=_FIXES.get(status, "look at the node's services and log"))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _limit(stream: Any, node: str) -> None:
    """Checks the length that a message announces, since grpclib would buffer any."""
    inner = stream._stream  # noqa: SLF001 - grpclib has no option for it
    receive = inner.recv_data

    async def recv_data(size: int) -> bytes:
        if size > MAX_MESSAGE:
            raise NodeError(
                f"a message of {size} bytes was announced, {MAX_MESSAGE} are allowed",
                where=node,
                fix="look at the node; Talos never sends that much",
            )
        data: bytes = await receive(size)
        return data

    inner.recv_data = recv_data
