"""Does a job still fit into the time that is left, and when do sites begin? Whole seconds throughout.

A node is started only if it can be done, by the measure of earlier ones, and undone before the window ends.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.core.calendar.occurrences import Occurrence

SAMPLES = 20  # the last jobs of one type that count
_FEW = 5  # below that many, what is expected counts too
_MOST_JITTER = 600  # seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one node is expected to need."""

    seconds: int  # 95 of 100 jobs are done by then
    reserve: int  # to undo it

    @property
    def needed(self) -> timedelta:
        """A quarter more than expected, and the time to undo it."""
        return timedelta(seconds=-(-self.seconds * 125 // 100) + self.reserve)


@dataclass(frozen=True, slots=True)
class Admission:
    admitted: bool
    needed: timedelta
    left: timedelta
    latest: datetime  # the last instant at which it would have been admitted


def estimate(durations: Sequence[int], *, expected: int, reserve: int) -> Estimate:
    """From the seconds that jobs of one type took, oldest first; `expected` until some were measured."""
    counted = list(durations)[-SAMPLES:]
    if len(counted) < _FEW:
        counted.append(expected)
    rank = -(-len(counted) * 95 // 100)
    return Estimate(sorted(counted)[rank - 1], reserve)


def admit(now: datetime, end: datetime, needed: timedelta) -> Admission:
    """May a job that needs `needed` start now in time that ends at `end`?"""
    return Admission(now + needed <= end, needed, max(end - now, timedelta()), end - needed)


def jitter(site: str, occurrence: Occurrence) -> timedelta:
    """How much later than the window this site begins: the same after each restart, another at each site."""
    # By the nominal length, which neither a change of the clocks nor an early end alters.
    bound = _bound(occurrence.nominal)
    text = f"{site}\0{occurrence.window}\0{occurrence.day}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    return timedelta(seconds=number % bound if bound else 0)


def most_jitter(nominal: timedelta) -> timedelta:
    """No window of that nominal length begins later than this at any site."""
    return timedelta(seconds=max(_bound(nominal) - 1, 0))


def _bound(nominal: timedelta) -> int:
    return min(_MOST_JITTER, int(nominal.total_seconds()) // 10)
