"""The calendar's use cases over a real store, with a clock that the test sets."""

from datetime import UTC, date, datetime, timedelta

import pytest

from controller.app import windows
from controller.app.apply import submit
from controller.core.calendar.trust import Reading
from inventory.calendar import MaintenanceWindow, SiteCalendar
from inventory.errors import OperatorError, RefusedError
from inventory.selectors import Selection

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SATURDAY = datetime(2026, 6, 6, tzinfo=UTC)  # 02:00 in Berlin


def night(start="02:00", minutes=180, days=("Sat", "Sun")):
    window = MaintenanceWindow("night", ("berlin",), "", days, start, minutes)
    return SiteCalendar("berlin", "Europe/Berlin", (window,))


@pytest.fixture
def at(services):
    """Sets the clock; a controller runs all the while unless the test says otherwise."""
    services.__dict__["clock_synchronized"] = lambda: False

    def set_clock(instant):
        services.clock.at = instant

    set_clock(SATURDAY - 12 * HOUR)
    return set_clock


def declare(services, *calendars):
    windows.declare_calendars(services, calendars, actor="ada")


def kinds(services):
    return [event.kind for event in services.store.events()]


def run(services, at, until, last=None, step=MINUTE * 30):
    """Ticks until then, as an engine does."""
    while services.clock.at < until:
        last = windows.tick(services, last)
        at(min(services.clock.at + step, until))
    return windows.tick(services, last)


def test_site_files_become_calendars_by_apply(services, at, fixtures):
    from inventory.resolve import load_files

    text = (fixtures.parents[1] / "examples" / "ha-site.yaml").read_text()
    submit(services, {"site.yaml": text}, Selection(), actor="ada")
    (calendar,) = services.store.calendars()
    resolved = load_files({"site.yaml": text})
    assert calendar.windows == resolved.windows
    assert calendar.blackouts == resolved.blackouts
    assert calendar.timezone == "Europe/Berlin"


def test_a_site_opens_and_closes(services, at):
    declare(services, night())
    assert windows.site_decision(services, "berlin").next.end == SATURDAY + 3 * HOUR
    run(services, at, SATURDAY + HOUR)
    assert windows.site_decision(services, "berlin").until == SATURDAY + 3 * HOUR
    run(services, at, SATURDAY + 4 * HOUR, Reading(services.clock.at, services.clock.monotonic()))
    assert not windows.site_decision(services, "berlin").open
    assert kinds(services).count("WindowOpened") == 1
    with pytest.raises(OperatorError, match="nothing is known"):
        windows.site_decision(services, "paris")


def test_freeze_override_and_back(services, at):
    declare(services, night())
    at(SATURDAY + HOUR)
    windows.tick(services)
    windows.freeze(services, reason="audit week", actor="ada")
    assert windows.site_decision(services, "berlin").why == ("frozen by ada: audit week",)
    windows.unfreeze(services, reason="audit is over", actor="ada")
    assert windows.site_decision(services, "berlin").open
    at(SATURDAY + 6 * HOUR)
    asked = windows.request_override(
        services, site="berlin", reason="a disk is failing", length=HOUR, actor="ada"
    )
    assert not windows.site_decision(services, "berlin").open
    at(SATURDAY + 6 * HOUR + 10 * MINUTE)
    assert windows.site_decision(services, "berlin").until == asked.until
    windows.cancel_override(services, asked.id, actor="ada", reason="not needed after all")
    assert not windows.site_decision(services, "berlin").open


def test_orders_that_are_refused(services, at):
    declare(services, night())
    with pytest.raises(OperatorError, match="over before it begins"):
        windows.freeze(services, reason="audit week", actor="ada", until=SATURDAY - 24 * HOUR)
    with pytest.raises(OperatorError, match="no reason"):
        windows.freeze(services, reason="x", actor="ada")
    with pytest.raises(OperatorError, match="nothing is known"):
        windows.freeze(services, reason="audit week", actor="ada", site="paris")
    asked = windows.request_override(
        services, site="berlin", reason="a disk is failing", length=HOUR, actor="ada", people=2
    )
    with pytest.raises(RefusedError, match="second person"):
        windows.approve_override(services, asked.id, actor="ada")
    assert windows.approve_override(services, asked.id, actor="bob").agreed
    assert windows.site_decision(services, "berlin").open
    assert services.store.audit_verify().ok


def test_an_edit_never_prolongs_nor_repeats_what_is_open(services, at):
    declare(services, night())
    at(SATURDAY + HOUR)  # no engine runs: apply itself notes what is open before it takes over the edit
    declare(services, night(minutes=9 * 60))
    assert windows.site_decision(services, "berlin").until == SATURDAY + 3 * HOUR
    at(SATURDAY + 2 * HOUR)
    declare(services, night(start="22:00"))  # closes it
    last = windows.tick(services)
    assert not windows.site_decision(services, "berlin").open
    declare(services, night())  # and back: it stays closed
    at(SATURDAY + 2 * HOUR + MINUTE)
    windows.tick(services, last)
    assert not windows.site_decision(services, "berlin").open
    # of the next day it is the window of the edit
    assert windows.site_decision(services, "berlin").next.end == SATURDAY + 27 * HOUR


def test_windows_missed_while_nothing_ran_are_told_once(services, at):
    declare(services, night(days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")))
    run(services, at, SATURDAY + HOUR)
    services.__dict__["clock_synchronized"] = lambda: True  # time servers vouch for the days in between
    at(SATURDAY + 97 * HOUR)  # Wednesday 03:00 in Berlin, within its window
    last = windows.tick(services)
    missed = [event for event in services.store.events() if event.kind == "WindowsMissed"]
    assert [event.data["count"] for event in missed] == [3]  # Sunday to Tuesday
    assert (
        windows.site_decision(services, "berlin").until == SATURDAY + 99 * HOUR
    )  # the rest of this one is used
    windows.tick(services, last)
    windows.tick(services)
    assert kinds(services).count("WindowsMissed") == 1


def test_a_clock_that_is_not_believed_closes_until_it_is_confirmed(services, at):
    declare(services, night())
    run(services, at, SATURDAY - 11 * HOUR)
    at(
        SATURDAY + 24 * HOUR + HOUR
    )  # the machine comes back a day and a half later, and nobody vouches for that
    windows.tick(services)
    decision = windows.site_decision(services, "berlin")
    assert (decision.open, decision.alarm) == (False, True)
    assert "WindowOpened" not in kinds(services)
    word = windows.confirm_clock(services, actor="ada", reason="compared with a phone")
    assert word.since == services.clock.at + timedelta(minutes=10)  # she is alone
    assert not windows.site_decision(services, "berlin").open
    run(services, at, services.clock.at + timedelta(minutes=11))
    assert windows.site_decision(services, "berlin").open
    assert services.store.overrides() == ()  # used up
    told = [kind for kind in kinds(services) if kind.startswith(("TimeC", "Clock"))]
    assert told == ["ClockWordRequest", "TimeConfirmed", "ClockWordEnded"]
    at(SATURDAY)  # set back
    windows.tick(services)
    assert "which has passed" in windows.site_decision(services, "berlin").why[0]
    assert kinds(services).count("TimeUntrusted") == 2


def test_a_clock_that_is_set_while_we_run(services, at):
    declare(services, night())
    at(SATURDAY - 2 * HOUR)
    last = windows.tick(services)
    at(SATURDAY + HOUR)
    stopped = Reading(last.wall, services.clock.monotonic() - 15)  # 15 s passed, and three hours on the wall
    windows.tick(services, stopped)
    assert not windows.site_decision(services, "berlin").open
    assert "set forward" in services.store.time_state()[1]


def test_new_zone_rules_that_move_a_window_are_told(services, at):
    """The kept openings are those of rules by which Berlin had no summer time."""
    declare(services, night())
    windows.tick(services)
    version, openings = services.store.foreseen("berlin")
    assert len(openings) == 10
    assert openings[0].start == SATURDAY
    older = [
        type(each)(each.site, each.window, each.day, each.start + HOUR, each.end + HOUR) for each in openings
    ]
    services.store.keep_foreseen("berlin", "2020.1", older)
    windows.tick(services)
    moved = [event.message for event in services.store.events() if event.kind == "WindowMoved"]
    assert len(moved) == 10
    assert moved[0].startswith(
        "night of 2026-06-06 opens at 2026-06-06T00:00:00Z and not at 2026-06-06T01:00:00Z"
    )
    assert services.store.foreseen("berlin") == (version, openings)
    windows.tick(services)
    declare(services, night(start="04:00"))  # an edit is no news of the zone
    services.store.keep_foreseen("berlin", "2020.1", services.store.foreseen("berlin")[1])
    windows.tick(services)
    assert kinds(services).count("WindowMoved") == 10


async def test_the_engine_keeps_the_calendar(services, at):
    """The test's clock goes on by as much as is slept, so that a loop without end is ended by an error."""
    declare(services, night())
    at(SATURDAY - MINUTE)

    class EndOfTestError(Exception):
        pass

    class Clock(type(services.clock)):
        async def sleep(self, seconds):
            await super().sleep(seconds)
            if self.at > SATURDAY + MINUTE:
                raise EndOfTestError

    services.__dict__["clock"] = Clock()
    services.clock.at = SATURDAY - MINUTE
    services.store._now = services.clock.now
    with pytest.raises(EndOfTestError):
        await windows.keep_calendar(services)
    assert kinds(services).count("WindowOpened") == 1


def test_the_floor_is_written_once_a_minute(services, at):
    last = windows.tick(services)
    kept = services.store.time_state()
    at(services.clock.at + 59 * timedelta(seconds=1))
    last = windows.tick(services, last)
    assert services.store.time_state() == kept
    at(services.clock.at + timedelta(seconds=1))
    windows.tick(services, last)
    assert services.store.time_state() > kept


def test_a_zone_that_is_gone_is_told_once(services, at):
    services.store.declare_calendars(
        [SiteCalendar("berlin", "Europe/Atlantis", night().windows)], actor="ada"
    )
    last = windows.tick(services)
    windows.tick(services, last)
    assert kinds(services).count("ZoneUnknown") == 1
    assert windows.site_decision(services, "berlin").alarm


def test_what_was_opened_is_kept_with_its_id(services, at):
    declare(services, night())
    run(services, at, SATURDAY + HOUR)
    (opened,) = services.store.opened(SATURDAY)
    assert (opened.window, opened.day, opened.end) == ("night", date(2026, 6, 6), SATURDAY + 3 * HOUR)


def unbelieved(services, at):
    """The clock of a controller that runs was set forward by a day."""
    declare(services, night())
    last = run(services, at, SATURDAY - 11 * HOUR)
    services.clock.at += 24 * HOUR
    later = windows.tick(services, Reading(last.wall, last.monotonic + 24 * 3600))
    assert "set forward" in services.store.time_state()[1]
    return later


def test_where_others_could_agree_one_of_them_has_to(services, at):
    last = unbelieved(services, at)
    word = windows.confirm_clock(services, actor="ada", reason="compared with a phone", people=2)
    last = run(services, at, services.clock.at + HOUR, last, MINUTE)
    assert services.store.time_state()[1]
    with pytest.raises(RefusedError, match="second person"):
        windows.approve_override(services, word.id, actor="ada")
    windows.approve_override(services, word.id, actor="bob")
    assert services.store.time_state()[1] == ""
    rows = services.store._rows("SELECT actor, action FROM audit ORDER BY seq DESC LIMIT 4")
    assert [tuple(row) for row in rows][::-1] == [
        ("ada", "request confirmation of the clock"),
        ("bob", "approve confirmation of the clock"),
        ("bob", "confirm the clock"),
        ("ada", "end confirmation of the clock"),
    ]


def test_alone_the_word_can_be_taken_back_for_ten_minutes(services, at):
    last = unbelieved(services, at)
    word = windows.confirm_clock(services, actor="ada", reason="compared with a phone")
    with pytest.raises(RefusedError, match="somebody's word"):
        windows.confirm_clock(services, actor="ada", reason="compared with a clock")
    last = run(services, at, services.clock.at + 9 * MINUTE, last, MINUTE)
    windows.cancel_override(services, word.id, actor="ada", reason="the phone was wrong")
    run(services, at, services.clock.at + HOUR, last, MINUTE)
    assert services.store.time_state()[1]


def test_a_clock_that_is_set_again_meanwhile_is_not_the_one_that_was_meant(services, at):
    """Else whoever sets it could make the ten minutes short."""
    last = unbelieved(services, at)
    windows.confirm_clock(services, actor="ada", reason="compared with a phone")
    services.clock.at += 11 * MINUTE
    windows.tick(services, Reading(last.wall, last.monotonic + 11 * 60))
    assert services.store.overrides() == ()
    assert services.store.time_state()[1]
