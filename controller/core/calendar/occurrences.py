"""When a maintenance window is open: its occurrences, by local date of the start. Knows no blackout.

Computed from the rules each time: an instant that was computed yesterday is no truth today, since the zone's
rules may have changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from controller.core.calendar.instants import first_pass, wall
from controller.core.calendar.spans import Span
from inventory.calendar import MaintenanceWindow

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = timedelta(days=1)


class Status(StrEnum):
    OPEN = "open"
    SHORTENED = "shortened"  # the clocks change inside it
    SKIPPED = "skipped"  # the clocks jump over all of it


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One opening of a window. `window` and `day` identify it at its site, for ever."""

    window: str
    day: date  # local, of the start
    start: datetime
    end: datetime  # not after `start`: skipped
    nominal: timedelta

    @property
    def status(self) -> Status:
        if self.end <= self.start:
            return Status.SKIPPED
        return Status.OPEN if self.end - self.start == self.nominal else Status.SHORTENED

    @property
    def span(self) -> Span:
        return Span(self.start, max(self.start, self.end))

    @property
    def key(self) -> tuple[str, date]:
        return self.window, self.day


def occurrences(window: MaintenanceWindow, zone: tzinfo, first: date, last: date) -> Iterator[Occurrence]:
    """Those that start on the local dates from `first` to `last`, both included; skipped ones too."""
    if window.valid_from:
        first = max(first, date.fromisoformat(window.valid_from))
    if window.valid_until:
        last = min(last, date.fromisoformat(window.valid_until))
    days = {WEEKDAYS.index(day) for day in window.days}
    begin = time.fromisoformat(window.start)
    nominal = timedelta(minutes=window.minutes)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() in days:
            yield _occurrence(window.name, zone, datetime.combine(day, begin), nominal)


def occurrences_in(window: MaintenanceWindow, zone: tzinfo, span: Span) -> Iterator[Occurrence]:
    """Those that are open at some time of `span`."""
    # A window lasts a day at most, and a zone may leave a whole day out.
    first, last = wall(span.start, zone).date() - 2 * _DAY, wall(span.end, zone).date() + _DAY
    for found in occurrences(window, zone, first, last):
        if found.start < span.end and span.start < found.end:
            yield found


def _occurrence(window: str, zone: tzinfo, begin: datetime, nominal: timedelta) -> Occurrence:
    start = first_pass(begin, zone)
    # Never longer than promised, and never past the time on the wall that was promised.
    end = min(start + nominal, first_pass(begin + nominal, zone))
    return Occurrence(window, begin.date(), start, end, nominal)
