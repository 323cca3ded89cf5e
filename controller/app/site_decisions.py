"""What each site's calendar says now: computed once a minute for all who look, and when anything changes.

For two hundred sites it takes a tenth of a second. An answer is kept while it is the same: what site files
say begins and ends at whole minutes; what is finer (sites that begin one after the other, overrides) is an
edge that ends it. Decides nothing itself.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.core.calendar.allowed import Circumstances, Decision, decide
from controller.core.calendar.notices import skips
from controller.core.calendar.zones import UnknownZoneError
from inventory.calendar import Freeze, Opened, Override, SiteCalendar


@dataclass(frozen=True, slots=True)
class Decided:
    """`skipped`: the clocks leave out a window of the next days, or nothing is known of its zone."""

    decision: Decision
    skipped: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    calendar: SiteCalendar
    told: Circumstances
    since: datetime
    until: datetime | None  # None: only the minute ends it
    decided: Decided

    def holds(self, calendar: SiteCalendar, told: Circumstances, now: datetime) -> bool:
        return (
            self.since <= now
            and _minute(now) == _minute(self.since)
            and (self.until is None or now < self.until)
            and self.told == told
            and self.calendar == calendar
        )


class SiteDecisions:
    """May be asked from several threads: at worst an answer is computed twice."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def of(self, calendars: Sequence[SiteCalendar], now: datetime, told: Circumstances) -> list[Decided]:
        """In the same order."""
        before, kept = self._kept, {}
        concerning = _by_site(told)
        for each in calendars:
            here = concerning(each.site)
            found = before.get(each.site)
            if found is None or not found.holds(each, here, now):
                found = _decided(each, here, now)
            kept[each.site] = found
        self._kept = kept
        return [found.decided for found in kept.values()]


def _decided(calendar: SiteCalendar, told: Circumstances, now: datetime) -> _Kept:
    decision = decide(calendar, now, told)
    try:
        skipped = any(each.alarm for each in skips(calendar, now))
    except UnknownZoneError:
        skipped = True
    edges = [decision.until, decision.next.start if decision.next else None]
    edges += [edge for each in told.overrides for edge in (each.since, each.until)]
    edges += [edge for each in told.freezes for edge in (each.since, each.until)]
    until = min((edge for edge in edges if edge is not None and edge > now), default=None)
    return _Kept(calendar, told, now, until, Decided(decision, skipped))


def _by_site(told: Circumstances) -> Callable[[str], Circumstances]:
    """What counts at one site: what concerns others would only make its answer look outdated."""
    freezes: dict[str, list[Freeze]] = defaultdict(list)
    overrides: dict[str, list[Override]] = defaultdict(list)
    opened: dict[str, list[Opened]] = defaultdict(list)
    for freeze in told.freezes:
        freezes[freeze.site].append(freeze)
    for override in told.overrides:
        overrides[override.site].append(override)
    for occurrence in told.opened:
        opened[occurrence.site].append(occurrence)

    def of(site: str) -> Circumstances:
        return Circumstances(
            freezes=tuple(each for each in told.freezes if each.concerns(site))
            if freezes[site]
            else everywhere,
            overrides=tuple(overrides[site]),
            opened=tuple(opened[site]),
            untrusted=told.untrusted,
        )

    everywhere = tuple(freezes[""])
    return of


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)
