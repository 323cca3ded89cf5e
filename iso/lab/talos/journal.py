"""What a lab Talos tells over time: entries that can be read back and followed. Lost with the power."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from facts.talos.messages import message

_T = TypeVar("_T")
_KEPT = 1000


class Journal(Generic[_T]):
    """Entries have numbers that rise by one. The oldest go first."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, _T]] = deque(maxlen=_KEPT)
        self._more = asyncio.Event()
        self.next = 0

    def append(self, entry: _T) -> None:
        self._entries.append((self.next, entry))
        self.next += 1
        self._more.set()
        self._more = asyncio.Event()

    def since(self, number: int) -> Iterator[tuple[int, _T]]:
        return iter([one for one in self._entries if one[0] >= number])

    async def follow(self, number: int) -> AsyncIterator[tuple[int, _T]]:
        """From entry `number` on, without an end."""
        while True:
            for found, entry in self.since(number):
                number = found + 1
                yield found, entry
            if number >= self.next:
                await self._more.wait()


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    actor: str
    payload: Any  # one of the machine.…Event messages


@dataclass(frozen=True, slots=True)
class Line:
    service: str  # "kernel" for the kernel's own
    text: str


def event_reply(number: int, event: Event | None) -> Any:
    """As the API sends it. None: the empty one, which says only that the stream began."""
    if event is None:
        return message("machine.Event")(data={})
    reply = message("machine.Event")(id=f"{number + 1:020d}", actor_id=event.actor)
    reply.data.type_url = f"talos/runtime/{event.payload.DESCRIPTOR.full_name}"
    reply.data.value = event.payload.SerializeToString()
    return reply


def number_of(event_id: str) -> int:
    return int(event_id) - 1 if event_id.isdigit() else -1
