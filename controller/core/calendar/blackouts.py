"""When a blackout holds at a site: instants, whole local days, or the same local days of every year."""

from calendar import isleap
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from controller.core.calendar.instants import day_end, day_start, wall
from controller.core.calendar.spans import Span
from inventory.calendar import Blackout

_MONTH_DAY = len("12-24")


def blackout_spans(blackout: Blackout, zone: tzinfo, within: Span) -> Iterator[Span]:
    """Its stretches that touch `within`, whole."""
    for span in _spans(blackout, zone, within):
        if span.start < within.end and within.start < span.end:
            yield span


def _spans(blackout: Blackout, zone: tzinfo, within: Span) -> Iterator[Span]:
    if "T" in blackout.start:
        yield Span(_instant(blackout.start), _instant(blackout.end))
    elif len(blackout.start) == _MONTH_DAY:
        for year in range(wall(within.start, zone).year - 1, wall(within.end, zone).year + 1):
            yield from _of_year(blackout, zone, year)
    else:
        yield _days(date.fromisoformat(blackout.start), date.fromisoformat(blackout.end), zone)


def _of_year(blackout: Blackout, zone: tzinfo, year: int) -> Iterator[Span]:
    """The one that starts in `year`. In a year without a 29 February, the days around it remain."""
    over = blackout.end < blackout.start  # over New Year
    first = _day(year, blackout.start)
    last = _day(year + over, blackout.end)
    if blackout.start == "02-29" and not isleap(year):
        first += timedelta(days=1)
    if first <= last:
        yield _days(first, last, zone)


def _day(year: int, month_day: str) -> date:
    if month_day == "02-29" and not isleap(year):
        month_day = "02-28"
    return date.fromisoformat(f"{year:04}-{month_day}")


def _days(first: date, last: date, zone: tzinfo) -> Span:
    return Span(day_start(first, zone), day_end(last, zone))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
