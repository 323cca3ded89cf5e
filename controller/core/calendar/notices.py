"""What an operator should hear about a site's calendar in time: too little of it, windows that the clocks
eat, windows that passed with no controller running. Decides nothing.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from controller.core.calendar.allowed import Circumstances, allowed, site_occurrences
from controller.core.calendar.instants import wall
from controller.core.calendar.occurrences import Occurrence, Status, occurrences
from controller.core.calendar.spans import Span, clip
from controller.core.calendar.zones import zone
from inventory.calendar import Opened, SiteCalendar

ENOUGH = timedelta(hours=48)
ROLLING = timedelta(days=32)
YEAR = timedelta(days=400)  # a year and the rolling days at its end
NOTICE = timedelta(days=14)
FORESEEN = timedelta(days=35)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Scarcity:
    """The 32 days in which a site has the least time."""

    start: datetime
    time: timedelta


@dataclass(frozen=True, slots=True)
class Skip:
    """An occurrence that the clocks shorten or leave out. `alarm`: none else within a week of it."""

    occurrence: Occurrence
    alarm: bool


def scarcest(calendar: SiteCalendar, start: datetime) -> Scarcity:
    """The least time of all spans of 32 days in the year from `start` on. Raises UnknownZoneError."""
    spans = allowed(calendar, Span(start, start + YEAR), spread=False)
    starts = [span.start for span in spans]
    sums = list(accumulate((span.length for span in spans), initial=timedelta()))

    def before(instant: datetime) -> timedelta:
        count = bisect_right(starts, instant)
        beyond = spans[count - 1].end - instant if count else timedelta()
        return sums[count] - max(beyond, timedelta())

    # The sum is piecewise linear in the start, so its least value is at a corner of it.
    last = start + YEAR - ROLLING
    edges = {edge for span in spans for edge in (span.start, span.end)}
    corners = {start, last, *edges, *(edge - ROLLING for edge in edges)}
    return min(
        (Scarcity(each, before(each + ROLLING) - before(each)) for each in corners if start <= each <= last),
        key=lambda each: (each.time, each.start),
    )


def longest(calendar: SiteCalendar, start: datetime) -> timedelta:
    """The longest stretch of the coming year: a job that needs more will never be admitted. Raises
    UnknownZoneError.
    """
    spans = allowed(calendar, Span(start, start + YEAR))
    return max((span.length for span in spans), default=timedelta())


def skips(calendar: SiteCalendar, now: datetime, ahead: timedelta = NOTICE) -> Iterator[Skip]:
    """What a change of the clocks does to the windows of the next days. Raises UnknownZoneError."""
    # A skipped occurrence is open at no time, so it is looked for by its day and not by a span.
    around = _all(calendar, Span(now - _WEEK, now + ahead + _WEEK))
    whole = [each for each in around if each.status is not Status.SKIPPED]
    for each in around:
        if each.status is not Status.OPEN and now <= each.start < now + ahead:
            near = any(abs(other.day - each.day) < _WEEK for other in whole)
            yield Skip(each, alarm=each.status is Status.SKIPPED and not near)


def missed(
    calendar: SiteCalendar, since: datetime, now: datetime, opened: Iterable[Opened]
) -> list[Occurrence]:
    """Occurrences that began and ended since a controller last ran, with time in which work was allowed.

    They are not made up for: however many they are, the next window is one window.
    """
    seen = {(each.window, each.day) for each in opened if each.site == calendar.site}
    since = max(since, now - YEAR)
    usable = allowed(calendar, Span(since, now), spread=False) if since < now else ()
    return [
        each
        for each in (site_occurrences(calendar, Span(since, now)) if usable else ())
        if each.key not in seen and since < each.start and each.end <= now and clip(usable, each.span)
    ]


def foreseen(calendar: SiteCalendar, now: datetime) -> list[Opened]:
    """The openings of the next weeks by the zone rules of today, to be compared when the rules are others."""
    return [
        Opened(calendar.site, each.window, each.day, each.start, each.end)
        for each in site_occurrences(calendar, Span(now, now + FORESEEN))
        if now < each.start
    ]


def moved(before: Iterable[Opened], calendar: SiteCalendar, now: datetime) -> list[tuple[Opened, Opened]]:
    """(as foreseen, as it is now) of openings still ahead that new zone rules moved."""
    after = {(each.window, each.day): each for each in foreseen(calendar, now)}
    pairs = ((each, after.get((each.window, each.day))) for each in before if now < each.start)
    return [(old, new) for old, new in pairs if new is not None and old != new]


def open_now(calendar: SiteCalendar, now: datetime, circumstances: Circumstances) -> list[Occurrence]:
    """The occurrences that `now` is in, whatever blackouts say: noted, so that edits only close them."""
    if circumstances.untrusted:
        return []
    moment = Span(now, now + timedelta(microseconds=1))
    return [each for each in site_occurrences(calendar, moment, circumstances.opened) if now in each.span]


def _all(calendar: SiteCalendar, span: Span) -> list[Occurrence]:
    found: list[Occurrence] = []
    for window in calendar.windows:
        here = zone(window.timezone or calendar.timezone)
        found += occurrences(window, here, wall(span.start, here).date(), wall(span.end, here).date())
    return sorted(found, key=lambda each: (each.start, each.day, each.window))
