"""Emergency overrides: who, how long, what they lift, and the words of a refusal."""

from datetime import timedelta

import pytest

from controller.core.calendar.allowed import Circumstances, decide
from controller.core.calendar.overrides import approve, checked_reason, request
from inventory.calendar import Freeze, Override, SiteCalendar
from inventory.errors import OperatorError, RefusedError
from tests.unit.core.calendar.support import at, blackout, site

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)

NOW = at("2026-06-03 12:00")


def ask(length=2 * HOUR, people=1, reason="a disk is failing"):
    return request("o", "s", reason=reason, length=length, actor="ada", now=NOW, people=people)


def test_alone_an_override_takes_effect_after_ten_minutes():
    told = Circumstances(overrides=(ask(),))
    assert not decide(site(), NOW + 9 * MINUTE, told).open
    assert decide(site(), NOW + 10 * MINUTE, told).until == NOW + 10 * MINUTE + 2 * HOUR
    assert decide(SiteCalendar("t", "UTC"), NOW + HOUR, told).open is False


def test_with_a_second_person_it_waits_for_that_person():
    asked = ask(people=2)
    assert not decide(site(), NOW + HOUR, Circumstances(overrides=(asked,))).open
    agreed = approve(asked, actor="bob", now=NOW + HOUR)
    assert decide(site(), NOW + HOUR, Circumstances(overrides=(agreed,))).until == NOW + 3 * HOUR
    with pytest.raises(RefusedError, match="second person"):
        approve(asked, actor="ada", now=NOW)
    with pytest.raises(RefusedError, match="bob has approved"):
        approve(agreed, actor="eve", now=NOW + HOUR)
    with pytest.raises(RefusedError, match="over"):
        approve(asked, actor="bob", now=NOW + 2 * HOUR)
    with pytest.raises(RefusedError, match="in effect already"):
        approve(ask(), actor="bob", now=NOW + HOUR)
    early = approve(ask(), actor="bob", now=NOW + MINUTE)
    assert (early.since, early.until) == (NOW + MINUTE, NOW + 2 * HOUR + MINUTE)


def test_an_override_lifts_blackouts_but_not_hard_ones_and_no_freeze():
    told = Circumstances(overrides=(ask(),))
    then = NOW + HOUR
    assert decide(site(blackouts=(blackout("2026-06-03", "2026-06-03"),)), then, told).open
    assert not decide(site(blackouts=(blackout("2026-06-03", "2026-06-03", hard=True),)), then, told).open
    frozen = Circumstances(overrides=(ask(),), freezes=(Freeze("f", "r", "ada", NOW),))
    assert not decide(site(), then, frozen).open


@pytest.mark.parametrize("length", [timedelta(), -HOUR, 4 * HOUR + SECOND, timedelta(days=30)])
def test_at_most_four_hours(length):
    with pytest.raises(OperatorError, match="from one minute to 4 hours"):
        ask(length=length)
    assert ask(length=4 * HOUR).until - ask(length=4 * HOUR).since == 4 * HOUR


@pytest.mark.parametrize("reason", ["", "   ", "x", "fix it", " a  b "])
def test_a_reason_says_something(reason):
    with pytest.raises(OperatorError, match="no reason"):
        ask(reason=reason)
    assert checked_reason("  the disk\n fails ") == "the disk fails"


def test_what_was_asked_for_is_what_is_kept():
    assert ask() == Override(
        "o", "s", "a disk is failing", "ada", NOW + 10 * MINUTE, NOW + 10 * MINUTE + 2 * HOUR
    )
    assert ask(people=2) == Override("o", "s", "a disk is failing", "ada", NOW, NOW + 2 * HOUR, second=True)
    assert ask(people=1).agreed
    assert not ask(people=2).agreed
    assert ask(length=MINUTE).until == NOW + 11 * MINUTE
    with pytest.raises(OperatorError):
        ask(length=59 * SECOND)
    assert approve(ask(people=2), actor="bob", now=NOW + HOUR) == Override(
        "o", "s", "a disk is failing", "ada", NOW + HOUR, NOW + 3 * HOUR, second=True, approved_by="bob"
    )


def refusal(act):
    with pytest.raises(OperatorError) as caught:
        act()
    return caught.value.what, caught.value.fix


def test_refusals_say_what_to_do():
    agreed = approve(ask(people=2), actor="bob", now=NOW)
    assert refusal(lambda: approve(ask(), actor="ada", now=NOW)) == (
        "whoever asks for an override can't be its second person",
        "let somebody else approve it, or wait until it takes effect",
    )
    assert refusal(lambda: approve(agreed, actor="eve", now=NOW)) == (
        "bob has approved it already",
        "nothing is left to do",
    )
    assert refusal(lambda: approve(ask(people=2), actor="bob", now=NOW + 2 * HOUR)) == (
        "this override is over",
        "ask for a new one: cto window override",
    )
    assert refusal(lambda: approve(ask(), actor="bob", now=NOW + 10 * MINUTE)) == (
        "this override is in effect already",
        "nothing is left to do",
    )
    assert refusal(lambda: ask(length=5 * HOUR)) == (
        "an override lasts from one minute to 4 hours",
        "ask for less with --for, such as --for 2h; when it is over, ask again",
    )
    assert refusal(lambda: ask(reason="fix it")) == (
        "'fix it' is no reason that anybody will understand later",
        'say what is wrong and why it can not wait: --reason "disk of berlin-cp-2 is failing"',
    )
    assert checked_reason("12345678") == "12345678"
