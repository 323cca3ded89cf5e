"""What is remembered of a site's calendar is, at every moment, what it says."""

from datetime import UTC, datetime, timedelta

from controller.app.site_decisions import SiteDecisions
from controller.core.calendar.allowed import Circumstances, decide
from controller.core.calendar.notices import skips
from inventory.calendar import Blackout, Freeze, MaintenanceWindow, Override, SiteCalendar

NIGHT = MaintenanceWindow("night", ("berlin",), "", ("Sat", "Sun"), "02:00", 180, "05:00")
LATE = MaintenanceWindow("late", ("porto",), "", ("Sat",), "23:10", 20)
FAIR = Blackout("fair", ("berlin",), "2026-03-08", "2026-03-08", "trade fair")
BERLIN = SiteCalendar("berlin", "Europe/Berlin", (NIGHT,), (FAIR,))
PORTO = SiteCalendar("porto", "Europe/Lisbon", (LATE,))
NOWHERE = SiteCalendar("nowhere", "Europe/Atlantis", (LATE,))
START = datetime(2026, 3, 7, 0, 55, tzinfo=UTC)


def test_a_weekend_second_by_second_is_as_if_nothing_were_remembered():
    """Windows that open with a delay of seconds, a blackout, an override that begins and ends in mid-minute."""
    decisions = SiteDecisions()
    override = Override(
        "o",
        "porto",
        "why not",
        "ada",
        START + timedelta(seconds=333),
        START + timedelta(seconds=777),
        False,
        "",
    )
    freeze = Freeze("f", "fair", "ada", START + timedelta(hours=1), START + timedelta(seconds=5000), "berlin")
    told = Circumstances(freezes=(freeze,), overrides=(override,))
    now = START
    while now < START + timedelta(hours=5):
        found = decisions.of([BERLIN, PORTO], now, told)
        assert [each.decision for each in found] == [decide(BERLIN, now, told), decide(PORTO, now, told)], now
        now += timedelta(seconds=7)


def test_what_is_ordered_counts_at_once():
    decisions, now = SiteDecisions(), START + timedelta(hours=1)
    (before,) = decisions.of([BERLIN], now, Circumstances())
    freeze = Freeze("f", "fair", "ada", now, None, "")
    (after,) = decisions.of([BERLIN], now, Circumstances(freezes=(freeze,)))
    assert before.decision.open
    assert not after.decision.open
    (untrusted,) = decisions.of([BERLIN], now, Circumstances(untrusted="it went back"))
    assert untrusted.decision.alarm
    (edited,) = decisions.of([SiteCalendar("berlin", "Europe/Berlin")], now, Circumstances())
    assert edited.decision.why == ("the site has no maintenance window",)


def test_within_a_minute_nothing_is_computed_twice():
    decisions = SiteDecisions()
    (one,) = decisions.of([BERLIN], START, Circumstances())
    (two,) = decisions.of([BERLIN], START + timedelta(seconds=20), Circumstances())
    (three,) = decisions.of([BERLIN], START + timedelta(seconds=60), Circumstances())
    assert two is one
    assert three is not one
    elsewhere = Freeze("f", "fair", "ada", START, None, "porto")
    (four,) = decisions.of([BERLIN], START + timedelta(seconds=61), Circumstances(freezes=(elsewhere,)))
    assert four is three


def test_a_clock_that_went_back_finds_nothing_remembered():
    decisions = SiteDecisions()
    (one,) = decisions.of([BERLIN], START, Circumstances())
    (two,) = decisions.of([BERLIN], START - timedelta(seconds=1), Circumstances())
    assert two is not one


def test_an_unknown_zone_and_a_window_that_the_clocks_leave_out():
    found = SiteDecisions().of([NOWHERE, BERLIN], START, Circumstances())
    assert found[0].skipped
    assert found[0].decision.alarm
    assert found[1].skipped == any(each.alarm for each in skips(BERLIN, START))
