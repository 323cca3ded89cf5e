"""Zones, times and durations: what is accepted is what the standard library can compute with."""

from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from inventory.moments import Date, Duration, Moment, Time, Zone, duration_minutes

ZONES = (files("tzdata") / "zones").read_text(encoding="ascii").split()


def accepts(kind, value):
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def test_every_place_of_the_database_is_accepted_and_known_to_the_library():
    places = [zone for zone in ZONES if "/" in zone and not zone.startswith("Etc/")]
    assert len(places) > 400
    for zone in places:
        assert accepts(Zone, zone)
        assert ZoneInfo(zone).key == zone


@pytest.mark.parametrize(
    "zone",
    [
        "CET",
        "EST",
        "EST5EDT",
        "GMT+1",
        "+02:00",
        "-0500",
        "Z",
        "Etc/GMT+5",
        "Etc/UTC",
        "Local",
        "",
        "Europe",
        "../UTC",
        "europe/berlin",
    ],
)
def test_offsets_abbreviations_and_paths_are_refused(zone):
    assert not accepts(Zone, zone)


def test_utc_is_a_zone():
    assert accepts(Zone, "UTC")


@given(st.integers(0, 9999), st.integers(0, 99999))
def test_durations_are_hours_and_minutes(hours, minutes):
    text = f"{hours}h{minutes}m"
    assert accepts(Duration, text) == (hours + minutes > 0)
    assert duration_minutes(text) == hours * 60 + minutes


@pytest.mark.parametrize(
    "text", ["", "h", "m", "1", "1.5h", "-1h", "1h ", "90s", "1d", "m1h", "0h", "0m", "1m1h"]
)
def test_other_durations_are_refused(text):
    assert not accepts(Duration, text)


@given(st.times())
def test_times_of_day_have_two_digits_each(time):
    assert accepts(Time, time.strftime("%H:%M"))
    assert not accepts(Time, time.strftime("%H:%M:%S"))
    assert not accepts(Time, f"{time.hour}h")


@given(st.dates())
def test_dates_are_iso(date):
    assert accepts(Date, date.isoformat())
    assert accepts(Moment, date.isoformat())
    assert accepts(Moment, date.strftime("%m-%d"))
    assert not accepts(Date, date.strftime("%Y%m%d"))


@given(st.datetimes(timezones=st.just(ZoneInfo("UTC"))))
def test_instants_need_their_offset(instant):
    assert accepts(Moment, instant.isoformat())
    assert not accepts(Moment, instant.replace(tzinfo=None).isoformat())
