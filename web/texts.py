"""The text by which things are found, made once for as long as a thing stays the same. Searches nothing."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
_SPARE = 1000


class Texts:
    """Holds the things whose texts it has (the very ones, not equal ones), so that no other gets their id.

    May be used from several threads: at worst a text is made twice.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[object, str]] = {}

    def of(self, things: Sequence[T], make: Callable[[T], str]) -> list[str]:
        """In the same order."""
        kept, found = self._kept, []
        if len(kept) > 2 * len(things) + _SPARE:  # most of them are gone
            kept = self._kept = {}
        for thing in things:
            held = kept.get(id(thing))
            if held is None:
                held = kept[id(thing)] = thing, make(thing)
            found.append(held[1])
        return found
