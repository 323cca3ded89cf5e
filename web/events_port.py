"""A search among events: what is asked, and what was found. Read on the controller itself; holds no SQL."""

from collections.abc import Sequence
from dataclasses import dataclass

from web.ports import EventView


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Empty: of every kind, with any words. `start` is `next` of the page before; 0: the first page."""

    kind: str = ""
    text: str = ""  # every word of it is in kind, subject or message
    start: int = 0
    limit: int = 200
    oldest: bool = False  # the oldest first

    @property
    def everything(self) -> bool:
        return not self.kind and not self.text


@dataclass(frozen=True, slots=True)
class FoundEvents:
    events: Sequence[EventView]
    next: int  # where to go on; 0: this was the end
    looked: int = 0  # it ended after so many were looked through; 0: it did not
