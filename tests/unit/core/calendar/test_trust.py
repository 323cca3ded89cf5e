"""Clocks that are behind, jump or are set: what is believed, and what settles it."""

from datetime import timedelta

import pytest

from controller.core.calendar.trust import Reading, TimeState, confirm, judge
from tests.unit.core.calendar.support import at

FLOOR = at("2026-06-06 00:00")
STATE = TimeState(FLOOR)


def reading(seconds: float, monotonic: float = 0) -> Reading:
    return Reading(FLOOR + timedelta(seconds=seconds), monotonic)


@pytest.mark.parametrize(
    ("seconds", "trusted"), [(-301, False), (-300, True), (0, True), (86_400, True), (86_401, False)]
)
def test_against_the_floor(seconds, trusted):
    verdict = judge(STATE, reading(seconds))
    assert verdict.trusted == trusted
    assert verdict.now == max(FLOOR, FLOOR + timedelta(seconds=seconds))
    assert verdict.state.floor == (verdict.now if trusted else FLOOR)


@pytest.mark.parametrize(
    ("wall", "trusted"), [(60, True), (90, True), (91, False), (30, True), (29, False), (-40, False)]
)
def test_a_clock_that_was_set_while_we_ran(wall, trusted):
    verdict = judge(STATE, reading(wall, 60), reading(0, 0))
    assert verdict.trusted == trusted
    assert trusted or ("forward" if wall > 60 else "back") in verdict.state.untrusted


def test_a_long_run_is_no_jump():
    """The machine slept for a week, or we did: the monotonic clock says so too."""
    week = 7 * 86_400
    assert judge(STATE, reading(week, week), reading(0, 0)).trusted


def test_distrust_stays_until_something_settles_it():
    after = judge(STATE, reading(3600, 10), reading(0, 0))
    assert not after.trusted
    later = judge(after.state, reading(3610, 20), reading(3600, 10))
    assert later.state == after.state
    assert judge(after.state, reading(3610, 20), reading(3600, 10), synchronized=True).trusted
    settled = confirm(reading(3610))
    assert (settled.floor, settled.untrusted) == (reading(3610).wall, "")


def test_time_servers_settle_a_jump_but_never_a_time_that_has_passed():
    year = 365 * 86_400
    assert judge(STATE, reading(year), synchronized=True).state == TimeState(reading(year).wall)
    assert not judge(STATE, reading(-year), synchronized=True).trusted
    assert judge(confirm(reading(-year)), reading(-year)).trusted


def test_the_floor_does_not_follow_a_clock_that_is_not_trusted():
    ahead = judge(STATE, reading(10 * 86_400))
    assert ahead.state.floor == FLOOR
    assert "10 days" in ahead.state.untrusted


def test_a_controller_that_never_ran_believes_its_clock():
    assert judge(TimeState(), reading(0)).state == STATE


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (31, "forward by 31 s"),
        (3599, "forward by 3599 s"),
        (3600, "forward by 1 h 0 min"),
        (3600 * 5 + 61, "forward by 5 h 1 min"),
        (2 * 86_400 - 1, "forward by 47 h 59 min"),
        (2 * 86_400, "forward by 2 days"),
        (-31, "back by 31 s"),
        (-7200, "back by 2 h 0 min"),
    ],
)
def test_how_far_it_was_set(seconds, said):
    kept = TimeState(FLOOR - timedelta(days=30))
    assert judge(kept, reading(seconds, 100), reading(0, 100)).state.untrusted == f"the clock was set {said}"


def test_the_words_for_a_jump_and_for_the_past():
    assert judge(STATE, reading(3 * 86_400)).state.untrusted == (
        "the clock shows 2026-06-09T00:00:00Z, 3 days after this controller last ran, "
        "and no time server vouches for it"
    )
    assert judge(STATE, reading(-3600)).state.untrusted == (
        "the clock shows 2026-06-05T23:00:00Z, before 2026-06-06T00:00:00Z, which has passed"
    )


def test_a_day_within_a_run_is_no_jump_at_its_start():
    """Only the first reading of a process is held against the floor."""
    assert judge(STATE, reading(3 * 86_400, 3 * 86_400), reading(0, 0)).trusted
    assert not judge(STATE, reading(3 * 86_400, 3 * 86_400)).trusted
