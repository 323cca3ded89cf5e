"""The calendar on the wall clock of any place, over the nights in which clocks change."""

import re
from datetime import UTC, datetime

import pytest

NIGHT = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)  # Berlin's clocks jump from 02:00 to 03:00 a few hours later


@pytest.fixture
def spring(queries, windows):
    """On the night before; people of that day are logged in."""
    queries.now = NIGHT


def now_of(client, path):
    return client.get(path).text.split('id="calendar-weeks"')[0]


def test_a_window_over_a_change_of_the_clocks_names_both_times(client_at, spring):
    page = now_of(client_at(), "/calendar")
    assert "Sun 29 Mar 03:05-05:00 CEST" in page  # 02:00 is not on the clock; sites begin one after another
    assert "in 3 h" in page


def test_the_same_on_the_clock_of_another_place(client_at, spring):
    client = client_at()
    assert "Sat 28 Mar 21:05-23:00 EDT" in now_of(client, "/calendar?zone=America/New_York")
    assert "Sun 29 Mar 01:05-03:00 UTC" in now_of(client, "/calendar?zone=UTC")
    assert "Sun 29 Mar 12:05-14:00 AEDT" in now_of(client, "/calendar?zone=Australia/Sydney")
    assert "on the clock of UTC" in now_of(client, "/calendar?zone=UTC")


def test_clocks_that_change_within_a_window_are_named_at_both_ends(client_at, queries, access):
    from inventory.calendar import MaintenanceWindow, SiteCalendar

    early = MaintenanceWindow("early", ("berlin",), "", ("Sun",), "00:30", 240, "04:30")
    calendars = [SiteCalendar("berlin", "Europe/Berlin", (early,))]
    access._writing.run(lambda s: s.store.declare_calendars(calendars, actor="test"))
    queries.now = NIGHT
    page = now_of(client_at(), "/calendar")
    assert re.search(r"Sun 29 Mar 00:3\d CET-05:30 CEST|Sun 29 Mar 00:3\d CET-04:30 CEST", page)


def test_an_open_window_says_until_when_there(client_at, queries, windows):
    queries.now = datetime(2026, 3, 14, 2, 30, tzinfo=UTC)
    client = client_at()
    assert "open</span> until 05:00 CET" in now_of(client, "/calendar")
    assert "open</span> until 04:00 UTC" in now_of(client, "/calendar?zone=UTC")
    assert "open</span> until 05:00 CET" in client.get("/").text


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "CET\n"])
def test_a_place_that_is_none_is_said(client_at, spring, zone):
    answer = client_at().get("/calendar", query_string={"zone": zone})
    assert answer.status_code in (200, 400)
    assert "IANA zone" in answer.text or "on the clock of CET" in answer.text


def test_zones_of_the_sites_are_offered(client_at, spring):
    page = client_at().get("/calendar").text
    for zone in ("UTC", "Europe/Berlin", "Europe/Lisbon"):
        assert f'<option value="{zone}"></option>' in page


def test_programs_get_the_local_time_too(client_at, spring):
    sites = client_at().get("/api/v1/calendar").json["sites"]
    assert sites[0]["next_local"] == "Sun 29 Mar 03:05-05:00 CEST"
    assert sites[1]["next_local"] == ""


@pytest.fixture
def client_at(login):
    """Logs in only when the test has set its clock."""
    return lambda: login("anna")
