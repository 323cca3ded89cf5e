"""Windows, blackouts and policies as the rest of the product sees them. Values only: when a window opens
is computed elsewhere.
"""

from dataclasses import dataclass

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
