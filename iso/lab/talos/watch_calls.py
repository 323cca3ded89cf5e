"""Events, logs and services on one lab Talos."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import message
from iso.lab.talos.journal import event_reply, number_of
from iso.lab.talos.replies import reply

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_RESTARTABLE = ("kubelet", "trustd")  # and extensions, which the lab has none of


class WatchCalls:
    """One method for each call: request message in, response message out."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    async def events(self, request: Any) -> AsyncIterator[Any]:
        journal = self._node.events
        first = self._first_event(request)
        yield event_reply(0, None)
        async for number, event in journal.follow(first):
            if not request.with_actor_id or event.actor == request.with_actor_id:
                yield event_reply(number, event)

    def _first_event(self, request: Any) -> int:
        journal = self._node.events
        if request.tail_id:
            return number_of(request.tail_id) + 1
        if request.tail_seconds:
            oldest = self._node.shared.clock.now() - timedelta(seconds=request.tail_seconds)
            recent = (number for number, event in journal.since(0) if event.at >= oldest)
            return next(recent, journal.next)
        return 0 if request.tail_events < 0 else max(0, journal.next - request.tail_events)

    async def logs(self, request: Any) -> AsyncIterator[Any]:
        if request.id not in self._node.services:
            raise GRPCError(Status.UNKNOWN, f'log "{request.id}" was not registered')
        async for part in self._lines(request.id, request.tail_lines or -1, follow=request.follow):
            yield part

    async def dmesg(self, request: Any) -> AsyncIterator[Any]:
        async for part in self._lines("", 0 if request.tail else -1, follow=request.follow):
            yield part

    async def _lines(self, service: str, tail: int, *, follow: bool) -> AsyncIterator[Any]:
        """Of one service, or of all as the kernel's log has them. `tail` -1: from the first line on."""
        journal = self._node.lines
        past = [one for one in journal.since(0) if service in ("", one[1].service)]
        for _, line in past if tail < 0 else past[len(past) - min(tail, len(past)) :]:
            yield _data(line.text if service else f"[talos] {line.service}: {line.text}")
        if not follow:
            return
        async for _, line in journal.follow(journal.next):
            if service in ("", line.service):
                yield _data(line.text if service else f"[talos] {line.service}: {line.text}")

    async def service_list(self, _: Any) -> Any:
        entry = message("machine.ServiceList")()
        for name, text in sorted(self._node.services.items()):
            state, _, health = text.partition("/")
            service = entry.services.add(id=name, state=state)
            service.health.unknown = health == "unknown"
            service.health.healthy = health == "healthy"
        return reply("machine.ServiceListResponse", entry)

    async def service_restart(self, request: Any) -> Any:
        node = self._node
        if request.id not in node.services:
            raise GRPCError(Status.UNKNOWN, f'service "{request.id}" not defined')
        if request.id not in _RESTARTABLE:
            raise GRPCError(
                Status.UNKNOWN, f'service "{request.id}" doesn\'t support restart operation via API'
            )
        node.service(request.id, "Stopping/unknown")
        node.spawn(self._started(request.id))
        entry = message("machine.ServiceRestart")(resp=f'Service "{request.id}" restarted')
        return reply("machine.ServiceRestartResponse", entry)

    async def _started(self, name: str) -> None:
        await self._node.shared.clock.sleep(self._node.shared.timings.etcd)
        self._node.service(name, "Running/healthy")


def _data(line: str) -> Any:
    return message("common.Data")(bytes=f"{line}\n".encode())
