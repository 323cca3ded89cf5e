"""When a blackout holds: instants, local days, the same days of every year."""

import pytest

from controller.core.calendar.blackouts import blackout_spans
from controller.core.calendar.zones import zone
from tests.unit.core.calendar.support import at, blackout, span

BERLIN = zone("Europe/Berlin")


def spans(start, end, first, last):
    return list(blackout_spans(blackout(start, end), BERLIN, span(f"{first} 00:00", f"{last} 00:00")))


def test_instants_have_their_own_offset():
    found = spans("2026-06-06T02:00:00+02:00", "2026-06-06T03:00:00Z", "2026-06-01", "2026-07-01")
    assert found == [span("2026-06-06 00:00", "2026-06-06 03:00")]
    assert {each.start.utcoffset().total_seconds() for each in found} == {0}


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [
        ("2026-06-05", "2026-06-06", 0),  # ends where it begins
        ("2026-06-05", "2026-06-07", 1),
        ("2026-06-06", "2026-06-07", 1),
        ("2026-06-08", "2026-06-09", 0),  # begins where it ends
    ],
)
def test_only_what_touches_the_stretch(first, last, count):
    assert len(spans("2026-06-06T00:00:00Z", "2026-06-08T00:00:00Z", first, last)) == count


def test_days_are_whole_local_days_with_both_ends():
    assert spans("2026-03-29", "2026-03-30", "2026-01-01", "2027-01-01") == [
        span("2026-03-28 23:00", "2026-03-30 22:00")
    ]


def test_the_same_days_of_every_year():
    assert spans("06-06", "06-06", "2025-01-01", "2027-01-01") == [
        span("2025-06-05 22:00", "2025-06-06 22:00"),
        span("2026-06-05 22:00", "2026-06-06 22:00"),
    ]
    # from within, the whole of it
    assert spans("06-01", "06-30", "2026-06-10", "2026-06-11") == [
        span("2026-05-31 22:00", "2026-06-30 22:00")
    ]


def test_over_new_year():
    assert spans("12-24", "01-06", "2026-01-02", "2027-01-02") == [
        span("2025-12-23 23:00", "2026-01-06 23:00"),
        span("2026-12-23 23:00", "2027-01-06 23:00"),
    ]
    assert spans("01-01", "12-31", "2026-06-01", "2026-06-02") == [
        span("2025-12-31 23:00", "2026-12-31 23:00")
    ]


def test_a_year_that_begins_in_between_by_local_time():
    """It is 2027 in Berlin an hour before it is in UTC."""
    late = span("2026-12-31 23:00", "2026-12-31 23:30")
    (found,) = blackout_spans(blackout("01-01", "01-01"), BERLIN, late)
    assert found.start == at("2026-12-31 23:00")


@pytest.mark.parametrize(
    ("start", "end", "year", "expected"),
    [
        ("02-29", "02-29", 2028, [("2028-02-28 23:00", "2028-02-29 23:00")]),
        ("02-29", "02-29", 2026, []),
        ("02-28", "02-29", 2026, [("2026-02-27 23:00", "2026-02-28 23:00")]),
        ("02-28", "02-29", 2028, [("2028-02-27 23:00", "2028-02-29 23:00")]),
        ("02-29", "03-01", 2026, [("2026-02-28 23:00", "2026-03-01 23:00")]),
        ("02-29", "03-01", 2028, [("2028-02-28 23:00", "2028-03-01 23:00")]),
        ("12-31", "02-29", 2028, [("2027-12-30 23:00", "2028-02-29 23:00")]),
        ("12-31", "02-29", 2026, [("2025-12-30 23:00", "2026-02-28 23:00")]),
        ("02-29", "01-01", 2028, [("2028-02-28 23:00", "2029-01-01 23:00")]),
    ],
)
def test_the_leap_day(start, end, year, expected):
    found = spans(start, end, f"{year}-02-01", f"{year}-03-15")
    assert found == [span(*each) for each in expected]
