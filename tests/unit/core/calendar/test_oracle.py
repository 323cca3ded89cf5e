"""Every zone, three years: the calendar against the oracle around each change of the clocks, and its promises
on other days. The whole of it, day by day: `python -m benchmarks.calendar`.
"""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from controller.core.calendar.instants import wall
from controller.core.calendar.occurrences import occurrences
from controller.core.calendar.zones import zone
from tests.unit.core.calendar import oracle
from tests.unit.core.calendar.support import window

FIRST, LAST = 2025, 2027
WINDOWS = [
    window(*times)
    for times in (
        ("00:00", "02:00"),
        ("02:00", "04:00"),
        ("23:00", "05:00"),
        ("02:00", "03:00"),
        ("02:30", "02:45"),
        ("01:30", "01:30"),
        ("00:00", "00:00"),
    )
]
SHARES = 8


def compare(name: str, change: datetime) -> int:
    clock = oracle.WallClock(name, change - timedelta(days=3), change + timedelta(days=4))
    here, compared = zone(name), 0
    for number in (-1, 0, 1):
        day = (change + timedelta(days=number)).date()
        for each in WINDOWS:
            (found,) = occurrences(each, here, day, day)
            begin = datetime.combine(day, time.fromisoformat(each.start))
            assert (found.start, found.end) == clock.opening(begin, each.minutes), (name, day, each.start)
            compared += 1
    return compared


@pytest.mark.parametrize("share", range(SHARES))
def test_around_every_change_of_the_clocks(share):
    compared = 0
    for name in oracle.places()[share::SHARES]:
        for change in oracle.transitions(name, FIRST, LAST):
            compared += compare(name, change)
    assert compared > 500


@pytest.mark.parametrize("place", ["Pacific/Apia", "Pacific/Kwajalein", "America/St_Johns", "Asia/Manila"])
def test_changes_of_other_years(place):
    """Days left out, days lived twice, clocks that go back over midnight."""
    changes = oracle.transitions(place, 1970, 2024)
    assert changes
    for change in changes[:12]:
        compare(place, change)


@pytest.mark.parametrize("share", range(SHARES))
def test_promises_on_any_day(share):
    """Never longer than promised, never past the time on the wall, never over the next one of its kind."""
    first, last = date(FIRST, 1, 1), date(LAST, 12, 31)
    for name in oracle.places()[share::SHARES]:
        here = zone(name)
        for each in WINDOWS[share % len(WINDOWS) :: 3]:
            days = [first + timedelta(days=number) for number in range(share, (last - first).days, 29)]
            for day in days:
                keeps_its_promises(each, here, day)


def keeps_its_promises(each, here, day):
    found, following = occurrences(each, here, day, day + timedelta(days=1))
    begin = datetime.combine(day, time.fromisoformat(each.start))
    assert found.start.tzinfo is UTC
    assert found.end - found.start <= timedelta(minutes=each.minutes)
    if found.end > found.start:
        assert wall(found.start, here) >= begin
        assert wall(found.end - timedelta(minutes=1), here) < begin + timedelta(minutes=each.minutes)
    assert found.end <= following.start
