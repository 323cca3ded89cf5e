"""May something disruptive happen at a site now, until when, and if not, why not and when next?

    open = ((windows without blackouts) + (overrides without hard blackouts)) without freezes

Nothing is open while the controller's time is not trusted, or where the zone is not known. Reads no clock.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from controller.core.calendar.admission import jitter
from controller.core.calendar.blackouts import blackout_spans
from controller.core.calendar.occurrences import Occurrence, occurrences_in
from controller.core.calendar.spans import Span, clip, holding, subtract, union
from controller.core.calendar.zones import UnknownZoneError, zone
from inventory.calendar import Blackout, Freeze, Opened, Override, SiteCalendar

# A merged span is never longer ago than its jitter if we look back this far: a window lasts a day at most.
_LOOK_BACK = timedelta(days=3)
_LOOK_AHEAD = (timedelta(days=9), timedelta(days=40), timedelta(days=400))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What counts beside the site files."""

    freezes: tuple[Freeze, ...] = ()
    overrides: tuple[Override, ...] = ()
    opened: tuple[Opened, ...] = ()
    untrusted: str = ""  # why the time is not trusted; empty if it is


@dataclass(frozen=True, slots=True)
class Decision:
    """`why` has a sentence for each reason; with `alarm` somebody has to act before anything opens."""

    open: bool
    until: datetime | None = None  # of the stretch that is open
    next: Span | None = None  # the next stretch that starts after now
    why: tuple[str, ...] = ()
    alarm: bool = False


def site_occurrences(calendar: SiteCalendar, span: Span, opened: Iterable[Opened] = ()) -> list[Occurrence]:
    """Of all windows of a site, in order. Raises UnknownZoneError.

    One that a controller saw open ends no later than it then did: an edit only ever closes it.
    """
    ends: dict[tuple[str, date], datetime] = {
        (seen.window, seen.day): seen.end for seen in opened if seen.site == calendar.site
    }
    found = [
        replace(each, end=min(each.end, ends.get(each.key, each.end)))
        for window in calendar.windows
        for each in occurrences_in(window, zone(window.timezone or calendar.timezone), span)
    ]
    return sorted(found, key=lambda each: (each.start, each.day, each.window))


def allowed(
    calendar: SiteCalendar, span: Span, circumstances: Circumstances | None = None, *, spread: bool = True
) -> tuple[Span, ...]:
    """When disruptive work may start or run within `span`. Raises UnknownZoneError.

    `spread`: with the delay by which sites begin one after the other.
    """
    told = circumstances or Circumstances()
    if told.untrusted:
        return ()
    here = zone(calendar.timezone)
    around = Span(span.start - _LOOK_BACK, span.end)
    windows = _windows(calendar, around, told.opened, spread=spread)
    within = subtract(windows, _blackouts(calendar.blackouts, here, around))
    by_hand = (
        Span(each.since, each.until) for each in told.overrides if each.site == calendar.site and each.agreed
    )
    hard = (each for each in calendar.blackouts if each.hard)
    either = union((*within, *subtract(by_hand, _blackouts(hard, here, around))))
    return clip(subtract(either, _frozen(calendar.site, told.freezes, around)), span)


def decide(calendar: SiteCalendar, now: datetime, circumstances: Circumstances | None = None) -> Decision:
    """The state of a site at `now`, for those who start work and for those who wait."""
    told = circumstances or Circumstances()
    if told.untrusted:
        return Decision(False, why=(f"the time is not trusted: {told.untrusted}",), alarm=True)
    try:
        for ahead in _LOOK_AHEAD:
            spans = allowed(calendar, Span(now, now + ahead), told)
            later = next((span for span in spans if span.start > now), None)
            if later:
                break
        current = holding(spans, now)
        if current:
            return Decision(True, current.end, later)
        return Decision(False, None, later, tuple(_reasons(calendar, now, told)))
    except UnknownZoneError as error:
        return Decision(False, why=(f"{error.what}; {error.fix}",), alarm=True)


def _windows(calendar: SiteCalendar, span: Span, opened: Iterable[Opened], *, spread: bool) -> list[Span]:
    """Merged; each stretch begins with the jitter of the occurrence that it begins with."""
    merged: list[tuple[Span, Occurrence]] = []
    for each in site_occurrences(calendar, span, opened):
        if each.end <= each.start:
            continue
        if merged and each.start <= merged[-1][0].end:
            last, first = merged[-1]
            merged[-1] = Span(last.start, max(last.end, each.end)), first
        else:
            merged.append((each.span, each))
    if not spread:
        return [stretch for stretch, _ in merged]
    return [Span(stretch.start + jitter(calendar.site, first), stretch.end) for stretch, first in merged]


def _blackouts(blackouts: Iterable[Blackout], here: tzinfo, span: Span) -> Iterator[Span]:
    for each in blackouts:
        yield from blackout_spans(each, here, span)


def _frozen(site: str, freezes: Iterable[Freeze], span: Span) -> Iterator[Span]:
    for each in freezes:
        if each.concerns(site):
            yield Span(each.since, max(span.end, each.since) if each.until is None else each.until)


def _reasons(calendar: SiteCalendar, now: datetime, told: Circumstances) -> Iterator[str]:
    moment = Span(now, now + timedelta(microseconds=1))
    for freeze in told.freezes:
        if freeze.holds(calendar.site, now):
            yield freeze.why
    here = zone(calendar.timezone)
    for blackout in calendar.blackouts:
        if any(now in span for span in blackout_spans(blackout, here, moment)):
            yield f"blackout {blackout.name}: {blackout.reason}"
    around = Span(now - _LOOK_BACK, moment.end)
    if not calendar.windows:
        yield "the site has no maintenance window"
    elif not holding(_windows(calendar, around, told.opened, spread=False), now):
        yield "outside its maintenance windows"
    elif not holding(_windows(calendar, around, told.opened, spread=True), now):
        yield "its window is open, and this site begins a little later than others"
