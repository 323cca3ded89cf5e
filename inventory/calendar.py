"""Windows, blackouts, policies, freezes and overrides as the rest of the product sees them. Values only:
when a window opens is computed elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

Weekday = str  # "Mon" … "Sun"


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Weekdays are those of the local start; an end not after the start is on the next day."""

    name: str
    sites: tuple[str, ...]
    timezone: str  # "" = each site's own
    days: tuple[Weekday, ...]
    start: str  # HH:MM, local
    minutes: int  # nominal length; 1440 where start and end are the same
    end: str = ""  # HH:MM, local; "" if the file says a duration
    valid_from: str = ""  # local dates, both included
    valid_until: str = ""


@dataclass(frozen=True, slots=True)
class Blackout:
    """`start` and `end` are written alike: dates (whole local days, both included), month-days (the same
    days of every year), or instants with their offsets.
    """

    name: str
    sites: tuple[str, ...]
    start: str
    end: str
    reason: str
    hard: bool = False  # not even an emergency override lifts it


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    name: str
    sites: tuple[str, ...]
    channel: str  # stable, beta, edge
    waves_percent: tuple[int, ...]  # cumulative, ends with 100
    bake_minutes: tuple[int, ...]  # after the first wave, the second, … (the last one repeats)
    max_failures_percent: int
    max_unavailable: int  # workers of one cluster at a time
    approval: str  # none, first-wave, each-wave
    expected_minutes: int = 20  # of work on one node, until enough of it was measured
    reserve_minutes: int = 15  # kept free at the end of a window to undo that work
    accept_downtime: bool = False  # of clusters with one control plane
    force_drain: bool = False  # go on at the drain's deadline with what is left on the node
    max_parallel: int = 50  # clusters at a time
    wave_counts: tuple[int, ...] = ()  # how many each wave has, instead of percentages; the last has the rest
    waves_by_site: bool = False  # waves are of whole sites
    max_failures: int = 20  # clusters of a wave, whatever the percentage allows
    max_unavailable_percent: int = 0  # of the workers, instead of a number
    timing: Mapping[str, float] = field(default_factory=dict)  # seconds, where the defaults don't fit


@dataclass(frozen=True, slots=True)
class SiteCalendar:
    """What the site files say about one site's time."""

    site: str
    timezone: str
    windows: tuple[MaintenanceWindow, ...] = ()
    blackouts: tuple[Blackout, ...] = ()


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing disruptive starts, from now on until it is lifted. Instants are aware and in UTC."""

    id: str
    reason: str
    actor: str
    since: datetime
    until: datetime | None = None  # None: until somebody lifts it
    site: str = ""  # "" = everywhere

    def concerns(self, site: str) -> bool:
        return self.site in ("", site)

    def holds(self, site: str, at: datetime) -> bool:
        """Whether nothing disruptive may start there at that instant."""
        return self.concerns(site) and self.since <= at and (self.until is None or at < self.until)

    @property
    def why(self) -> str:
        return f"frozen by {self.actor}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Override:
    """A window by hand for one site. Lifts neither freezes nor hard blackouts, and no guard of a cluster."""

    id: str
    site: str
    reason: str
    actor: str
    since: datetime  # in effect from here on; until then it can be cancelled without a trace on any node
    until: datetime
    second: bool = False  # another person has to agree; where there is none, a delay stands in
    approved_by: str = ""

    @property
    def agreed(self) -> bool:
        """In effect from `since` on; otherwise it lapses at `until`."""
        return not self.second or bool(self.approved_by)


@dataclass(frozen=True, slots=True)
class Opened:
    """An occurrence that was open while a controller ran. It never opens a second time, nor longer."""

    site: str
    window: str
    day: date  # local, of its start
    start: datetime
    end: datetime
