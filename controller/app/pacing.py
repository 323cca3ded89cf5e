"""Keeps transfers below a number of bytes a second, by waiting between their pieces. Transfers nothing.

Whoever sends is slowed down by TCP itself: what is not read yet is not sent.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, int, int], None]  # file, bytes done, bytes in all
_PIECE = 1 << 20  # of a file that is gone on with, the first report tells of older bytes, too
_BURST = 1.0  # seconds' worth of bytes that a pause saves up


@dataclass(slots=True)
class Pace:
    """One limit for all files that are reported to it, together."""

    limit: int  # bytes a second
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    _due: float = 0.0  # when the bytes that came so far may have come
    _done: dict[str, int] = field(default_factory=dict)

    def limited(self, report: Progress) -> Progress:
        """`report`, which returns only when the next piece may come."""

        def told(name: str, done: int, total: int) -> None:
            report(name, done, total)
            self._came(name, done)

        return told

    def _came(self, name: str, done: int) -> None:
        before = self._done.get(name, max(0, done - _PIECE))
        self._done[name] = done
        now = self.monotonic()
        self._due = max(self._due, now - _BURST) + max(0, done - before) / self.limit
        if self._due > now:
            self.wait(self._due - now)
