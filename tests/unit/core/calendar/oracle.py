"""A second opinion on when windows open, written without a look at the calendar's code and sharing none of it.

It reads the wall clock minute by minute: a window opens at the first minute at which the wall clock shows its
start or later, closes likewise, and never lasts longer than promised.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import accumulate
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


@cache
def tz(name: str) -> ZoneInfo:
    path = resources.files("tzdata") / "zoneinfo" / name
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def places() -> tuple[str, ...]:
    """One name for each different set of rules."""
    names = (resources.files("tzdata") / "zones").read_text().split()
    rules = {}
    for name in names:
        if "/" in name and not name.startswith("Etc/"):
            rules.setdefault((resources.files("tzdata") / "zoneinfo" / name).read_bytes(), name)
    return tuple(sorted(rules.values()))


def transitions(name: str, first_year: int, last_year: int) -> list[datetime]:
    """The days (noon, UTC) within which the offset of the zone changes."""
    zone, found = tz(name), []
    noon = datetime(first_year, 1, 1, 12, tzinfo=UTC)
    before = noon.astimezone(zone).utcoffset()
    while noon.year <= last_year:
        noon += timedelta(days=1)
        after = noon.astimezone(zone).utcoffset()
        if after != before:
            found.append(noon)
        before = after
    return found


class WallClock:
    """The wall clock of a zone over a stretch of UTC, minute by minute."""

    def __init__(self, name: str, begin: datetime, end: datetime) -> None:
        zone, self.begin = tz(name), begin
        minutes = int((end - begin) / MINUTE)
        shown = (self._shown(begin + number * MINUTE, zone) for number in range(minutes))
        self.highest = list(accumulate(shown, max))

    @staticmethod
    def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
        return instant.astimezone(zone).replace(tzinfo=None, fold=0)

    def reaches(self, local: datetime) -> datetime:
        """The first minute at which it shows `local` or has passed it."""
        index = bisect_left(self.highest, local)
        if not 0 < index < len(self.highest):
            raise LookupError(f"{local} is not within the stretch")
        return self.begin + index * MINUTE

    def opening(self, local: datetime, minutes: int) -> tuple[datetime, datetime]:
        start = self.reaches(local)
        return start, min(start + minutes * MINUTE, self.reaches(local + minutes * MINUTE))
