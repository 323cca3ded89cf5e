"""A calendar laid out over dates, for people: each occurrence, and why it is shorter or left out.

Without jitter, freezes and overrides: what the rules say, and not what holds at this moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from controller.core.calendar.blackouts import blackout_spans
from controller.core.calendar.instants import first_pass
from controller.core.calendar.occurrences import Occurrence, Status, occurrences
from controller.core.calendar.spans import Span, subtract, total, union
from controller.core.calendar.zones import zone
from inventory.calendar import Blackout, SiteCalendar

FIRST, LAST = date(1900, 1, 1), date(2199, 12, 31)  # as far as rules of zones mean anything
_CLOCKS = "the clocks change"


@dataclass(frozen=True, slots=True)
class Entry:
    """One occurrence, or one of the pieces that a blackout leaves of it. `span` None: nothing is left."""

    window: str
    day: date  # local, of the start
    at: datetime  # where it starts, or would
    span: Span | None
    nominal_minutes: int
    status: Status
    why: tuple[str, ...] = ()

    @property
    def minutes(self) -> int:
        return int(self.span.length.total_seconds()) // 60 if self.span else 0


def preview(calendar: SiteCalendar, first: date, last: date) -> list[Entry]:
    """Every occurrence that starts on these local dates, both included, in the order of their starts.
    One that is skipped stands where it would have started. Raises UnknownZoneError.
    """
    entries = [
        entry
        for window in calendar.windows
        for each in occurrences(window, zone(window.timezone or calendar.timezone), first, last)
        for entry in _entries(each, calendar)
    ]
    return sorted(entries, key=lambda entry: (entry.at, entry.day, entry.window))


def _entries(occurrence: Occurrence, calendar: SiteCalendar) -> Iterator[Entry]:
    nominal = int(occurrence.nominal.total_seconds()) // 60
    why = [] if occurrence.status is Status.OPEN else [_CLOCKS]
    holes = list(_holes(occurrence, calendar))
    why += [f"blackout {each.name}: {each.reason}" for each, _ in holes]
    pieces = subtract([occurrence.span], [span for _, span in holes])
    for piece in pieces:
        whole = piece.length == occurrence.nominal
        status = Status.OPEN if whole else Status.SHORTENED
        yield Entry(occurrence.window, occurrence.day, piece.start, piece, nominal, status, tuple(why))
    if not pieces:
        skipped = Status.SKIPPED
        yield Entry(occurrence.window, occurrence.day, occurrence.start, None, nominal, skipped, tuple(why))


def _holes(occurrence: Occurrence, calendar: SiteCalendar) -> Iterator[tuple[Blackout, Span]]:
    if not calendar.blackouts or occurrence.status is Status.SKIPPED:
        return
    here = zone(calendar.timezone)
    for blackout in calendar.blackouts:
        for span in blackout_spans(blackout, here, occurrence.span):
            yield blackout, span


def grid(entries: list[Entry], here: tzinfo, day: date, cells: int) -> list[float]:
    """How much of each part of a local day is open, from 0 to 1; a part that the clocks leave out is 0."""
    spans = union(entry.span for entry in entries if entry.span)
    midnight = datetime.combine(day, time())
    edges = [first_pass(midnight + timedelta(days=1) * cell / cells, here) for cell in range(cells + 1)]
    parts = [Span(start, end) for start, end in pairwise(edges)]
    return [_share(spans, part) for part in parts]


def _share(spans: tuple[Span, ...], part: Span) -> float:
    if part.end <= part.start:
        return 0.0
    common = (Span(max(s.start, part.start), min(s.end, part.end)) for s in spans)
    return total(each for each in common if each.start < each.end) / part.length


def utc(instant: datetime) -> str:
    """2026-03-28T22:00:00Z."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
