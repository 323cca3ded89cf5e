"""What the pages ask of the maintenance calendar, and order there. Computes no window itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SiteWindows:
    """How one site stands now. Instants are ISO 8601 in UTC; empty: there is none."""

    site: str
    timezone: str
    windows: tuple[str, ...]
    open: bool
    until: str
    next_start: str
    next_end: str
    why: tuple[str, ...]  # it is closed
    alarm: bool  # somebody should look
    until_local: str = ""  # the same for people, on the clock of the zone that was asked for
    next_local: str = ""


@dataclass(frozen=True, slots=True)
class WindowEntry:
    """One occurrence of a window, or a piece that a blackout left of it."""

    site: str
    window: str
    day: str  # local date of its start
    status: str  # open, shortened, skipped
    local: str  # as the clock on that wall shows it
    start: str  # in UTC; empty if nothing is left of it
    end: str
    minutes: int
    nominal: int
    why: str


@dataclass(frozen=True, slots=True)
class FreezeView:
    id: str
    site: str  # empty: everywhere
    reason: str
    actor: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class OverrideView:
    id: str
    site: str
    reason: str
    actor: str
    since: str
    until: str
    agreed: bool
    approved_by: str


@dataclass(frozen=True, slots=True)
class CalendarState:
    sites: Sequence[SiteWindows]
    freezes: Sequence[FreezeView]
    overrides: Sequence[OverrideView]
    untrusted: str  # why the clock is not believed; empty: it is


class Calendar(Protocol):
    """`actor` is who the audit log names; `person` is who counts where two people are needed."""

    def state(self, zone: str = "") -> CalendarState:
        """`zone`: whose wall clock the local times are of; empty: each site's own."""
        ...

    def entries(self, site: str, first: date, last: date, zone: str = "") -> Sequence[WindowEntry]:
        """`zone`: whose wall clock `local` is of; empty: the site's own."""
        ...

    def freeze(self, *, site: str, reason: str, until: str, actor: str) -> None: ...
    def unfreeze(self, *, site: str, reason: str, actor: str) -> None: ...
    def override(self, *, site: str, reason: str, length: timedelta, person: str) -> OverrideView: ...
    def approve(self, id_: str, *, person: str) -> None: ...
    def cancel(self, id_: str, *, reason: str, actor: str) -> None: ...
