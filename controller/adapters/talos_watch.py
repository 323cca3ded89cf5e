"""What a Talos node tells over time: events, services' logs, the kernel's log. Every stream is bounded."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from controller.adapters.talos_node import MACHINE, NodeCalls
from controller.app.talos_port import NodeEvent
from facts.talos.messages import enum_number, message
from facts.talos.resources import named_mapping
from inventory.errors import InvariantError, NodeError

_TYPE_URL = "talos/runtime/"
_FOLLOW_SECONDS = 3600
_READ_SECONDS = 60


class WatchCalls(NodeCalls):
    async def events(
        self, *, tail: int = 0, actor: str = "", after: str = "", deadline: float = _FOLLOW_SECONDS
    ) -> AsyncIterator[NodeEvent]:
        request = message("machine.EventsRequest")(tail_events=tail, tail_id=after, with_actor_id=actor)
        stream = self._calls.stream(f"{MACHINE}/Events", request, deadline=deadline)
        async with aclosing(stream) as replies:
            async for reply in replies:
                if reply.data.type_url:  # the first says only that the node listens
                    kind = reply.data.type_url.removeprefix(_TYPE_URL).removeprefix("machine.")
                    yield NodeEvent(reply.id, reply.actor_id, kind, _payload(reply.data, self._node))

    async def logs(
        self, service: str, *, lines: int = 200, follow: bool = False, max_bytes: int = 4 << 20
    ) -> AsyncIterator[bytes]:
        request = message("machine.LogsRequest")(
            namespace="system",
            id=service,
            driver=enum_number("common.ContainerDriver", "CONTAINERD"),
            follow=follow,
            tail_lines=lines,
        )
        seconds = _FOLLOW_SECONDS if follow else _READ_SECONDS
        stream = self._calls.stream(f"{MACHINE}/Logs", request, deadline=seconds)
        async with aclosing(_capped(stream, max_bytes)) as parts:
            async for part in parts:
                yield part

    async def dmesg(self, *, follow: bool = False, max_bytes: int = 4 << 20) -> AsyncIterator[bytes]:
        request = message("machine.DmesgRequest")(follow=follow)
        seconds = _FOLLOW_SECONDS if follow else _READ_SECONDS
        stream = self._calls.stream(f"{MACHINE}/Dmesg", request, deadline=seconds)
        async with aclosing(_capped(stream, max_bytes)) as parts:
            async for part in parts:
                yield part


async def _capped(stream: AsyncGenerator[Any, None], max_bytes: int) -> AsyncGenerator[bytes, None]:
    left = max_bytes
    async with aclosing(stream) as replies:
        async for reply in replies:
            if reply.bytes:
                yield reply.bytes[:left]
                left -= len(reply.bytes)
            if left <= 0:
                return


def _payload(data: Any, node: str) -> Mapping[str, Any]:
    """The event's fields; none for a kind that this program does not know."""
    from google.protobuf.message import DecodeError

    try:
        event = message(data.type_url.removeprefix(_TYPE_URL))
    except InvariantError:  # a later Talos has kinds of its own
        return {}
    try:
        return named_mapping(event.FromString(data.value))
    except DecodeError as error:
        raise NodeError("an event of it can't be decoded", where=node, fix="check its version") from error
