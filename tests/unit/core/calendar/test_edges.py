"""The edges at which other schedulers go wrong, each with the instants that are right."""

import subprocess
import sys
from datetime import date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from controller.core.calendar.instants import day_end, day_start
from controller.core.calendar.occurrences import Status, occurrences
from controller.core.calendar.zones import UnknownZoneError, database_version, zone
from tests.unit.core.calendar.support import EVERY, at, window

TABLE = yaml.safe_load((Path(__file__).parents[3] / "fixtures" / "calendar" / "edges.yaml").read_text())[
    "edges"
]


@pytest.mark.parametrize("edge", TABLE, ids=lambda e: f"{e['zone']} {e['day']} {e['start']}-{e['end']}")
def test_edge(edge):
    (found,) = occurrences(window(edge["start"], edge["end"]), zone(edge["zone"]), edge["day"], edge["day"])
    assert found.day == edge["day"]
    assert found.nominal == timedelta(minutes=edge["nominal"])
    assert found.span.length == timedelta(minutes=edge["minutes"])
    if edge["open"]:
        assert [found.start, found.end] == [datetime.fromisoformat(text) for text in edge["open"]]
        assert found.status == ("open" if edge["minutes"] == edge["nominal"] else "shortened")
    else:
        assert found.status is Status.SKIPPED


def test_a_duration_is_as_an_end():
    by_end, by_length = window("23:00", "05:00"), window("23:00", "05:00")
    by_length = type(by_length)(**{n: getattr(by_length, n) for n in by_length.__slots__} | {"end": ""})
    for day in (date(2026, 3, 28), date(2026, 10, 24)):
        assert [o.span for o in occurrences(by_end, zone("Europe/Berlin"), day, day)] == [
            o.span for o in occurrences(by_length, zone("Europe/Berlin"), day, day)
        ]


def test_days_are_those_of_the_local_start():
    """Saturday 23:00 in Auckland is Saturday noon in UTC, and its end is on a Sunday."""
    found = list(
        occurrences(
            window("23:00", "01:00", ["Sat"]), zone("Pacific/Auckland"), date(2026, 6, 1), date(2026, 6, 30)
        )
    )
    assert [each.day.day for each in found] == [6, 13, 20, 27]
    assert found[0].start == at("2026-06-06 11:00")


def test_validity_includes_both_dates_and_counts_starts():
    kept = window("23:00", "01:00", EVERY, valid_from="2026-06-03", valid_until="2026-06-04")
    found = list(occurrences(kept, zone("UTC"), date(2026, 6, 1), date(2026, 6, 30)))
    assert [each.day.day for each in found] == [3, 4]
    assert found[-1].end == at("2026-06-05 01:00")


def test_local_days_where_clocks_change_at_midnight():
    havana, johns, santiago, apia = map(
        zone, ("America/Havana", "America/St_Johns", "America/Santiago", "Pacific/Apia")
    )
    # Havana went back from 01:00 to 00:00: both hours belong to the new day.
    assert (
        day_end(date(2024, 11, 2), havana) == day_start(date(2024, 11, 3), havana) == at("2024-11-03 04:00")
    )
    # St John's went back from 00:01 to 23:01: the old day goes on for an hour after the new one began.
    assert day_start(date(2010, 11, 7), johns) == at("2010-11-07 02:30")
    assert day_end(date(2010, 11, 6), johns) == at("2010-11-07 03:30")
    # Santiago has no midnight in spring, Apia left a whole day out.
    assert day_start(date(2026, 9, 6), santiago) == at("2026-09-06 04:00")
    assert day_start(date(2011, 12, 30), apia) == day_end(date(2011, 12, 30), apia) == at("2011-12-30 10:00")


def test_offsets_with_seconds():
    """Monrovia was 44 min 30 s behind until 1972, when its clocks went forward by that."""
    monrovia = zone("Africa/Monrovia")
    day = date(1972, 1, 6)
    (found,) = occurrences(window("23:00", "02:00"), monrovia, day, day)
    assert day_start(day, monrovia) == at("1972-01-06 00:44:30")
    assert (found.start, found.span.length) == (
        at("1972-01-06 23:44:30"),
        timedelta(hours=3) - timedelta(minutes=44, seconds=30),
    )


def test_zones_come_from_the_package_and_not_from_this_machine(tmp_path, monkeypatch):
    """A machine whose own database says that Berlin is in UTC gets the same answer."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").write_bytes((files("tzdata") / "zoneinfo" / "UTC").read_bytes())
    code = (
        "from datetime import datetime; from controller.core.calendar.zones import zone; "
        "print(zone('Europe/Berlin').utcoffset(datetime(2026, 7, 1)))"
    )
    monkeypatch.setenv("PYTHONTZPATH", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
    )
    assert done.stdout.strip() == "2:00:00"


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../UTC", "/etc/passwd", "Europe"])
def test_a_zone_that_is_not_in_the_database(name):
    with pytest.raises(UnknownZoneError):
        zone(name)


def test_the_database_has_a_version():
    assert database_version() >= "2025"
