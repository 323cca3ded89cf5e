"""May we now, until when, and why not: the rules one by one."""

from datetime import date, timedelta

import pytest

from controller.core.calendar.admission import admit, estimate, jitter, most_jitter
from controller.core.calendar.allowed import Circumstances, allowed, decide, site_occurrences
from controller.core.calendar.notices import foreseen, longest, missed, moved, open_now, scarcest, skips
from controller.core.calendar.occurrences import occurrences
from controller.core.calendar.zones import zone
from inventory.calendar import Freeze, Opened, Override, SiteCalendar
from tests.unit.core.calendar.support import at, blackout, site, span, window

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
NIGHT = window("02:00", "05:00", ["Sat", "Sun"], name="night")
SATURDAY = at("2026-06-06 00:00")  # 02:00 in Berlin
LATE = SATURDAY + 20 * MINUTE  # every site has begun


def test_start_belongs_to_the_window_and_end_does_not():
    calendar = site(NIGHT)
    (first, _) = allowed(calendar, span("2026-06-05 12:00", "2026-06-07 12:00"), spread=False)
    assert first == span("2026-06-06 00:00", "2026-06-06 03:00")
    open_ = decide(calendar, at("2026-06-06 02:59:59"))
    assert (open_.open, open_.until, open_.alarm) == (True, at("2026-06-06 03:00"), False)
    assert open_.next.end == at("2026-06-07 03:00")
    closed = decide(calendar, at("2026-06-06 03:00"))
    assert not closed.open
    assert closed.next.end == at("2026-06-07 03:00")
    assert closed.why == ("outside its maintenance windows",)


def test_touching_and_overlapping_windows_are_one():
    calendar = site(
        window("02:00", "04:00", name="a"),
        window("04:00", "05:00", name="b"),
        window("03:30", "04:30", name="c"),
    )
    assert allowed(calendar, span("2026-06-06 00:00", "2026-06-06 12:00"), spread=False) == (
        span("2026-06-06 00:00", "2026-06-06 03:00"),
    )
    # and no site waits again in the middle of it
    assert len(allowed(calendar, span("2026-06-06 00:00", "2026-06-06 12:00"))) == 1


def test_a_window_that_never_ends_is_one_stretch():
    calendar = site(window("00:00", "00:00"))
    (whole,) = allowed(calendar, span("2026-06-06 00:00", "2026-06-20 00:00"))
    assert whole == span("2026-06-06 00:00", "2026-06-20 00:00")


def test_a_blackout_of_the_tail_leaves_no_room_for_the_job():
    calendar = site(NIGHT, blackouts=(blackout("2026-06-06T02:00:00Z", "2026-06-06T09:00:00Z"),))
    decision = decide(calendar, LATE)
    assert decision.until == at("2026-06-06 02:00")
    needed = estimate([], expected=20 * 60, reserve=15 * 60).needed
    assert needed == 40 * MINUTE
    admission = admit(LATE, decision.until, needed)
    assert (admission.admitted, admission.needed) == (True, needed)
    assert admit(at("2026-06-06 01:20"), decision.until, needed).admitted
    refused = admit(at("2026-06-06 01:20:01"), decision.until, needed)
    assert (refused.admitted, refused.latest, refused.left) == (
        False,
        at("2026-06-06 01:20"),
        39 * MINUTE + 59 * SECOND,
    )


def test_a_window_shorter_than_the_job_never_admits():
    calendar = site(window("02:00", "02:30"))
    decision = decide(calendar, at("2026-06-06 00:10"))
    assert decision.open
    assert not admit(at("2026-06-06 00:10"), decision.until, 40 * MINUTE).admitted
    assert admit(at("2026-06-07 00:00"), at("2026-06-06 00:00"), MINUTE).left == timedelta()


def test_reasons_name_what_stands_in_the_way():
    frozen = Freeze("f", "audit week", "ada", at("2026-06-01 00:00"))
    calendar = site(NIGHT, blackouts=(blackout("2026-06-06", "2026-06-06"),))
    decision = decide(calendar, LATE, Circumstances(freezes=(frozen,)))
    assert decision.why == ("frozen by ada: audit week", "blackout b: stocktaking")
    assert decision.next is None
    assert decide(site(), LATE).why == ("the site has no maintenance window",)
    assert not decide(calendar, LATE).alarm


def test_a_freeze_ends_by_itself_and_concerns_its_site():
    until = Freeze("f", "audit week", "ada", at("2026-06-01 00:00"), at("2026-06-06 02:00"))
    calendar = site(NIGHT)
    assert decide(calendar, LATE, Circumstances(freezes=(until,))).next.start == at("2026-06-06 02:00")
    elsewhere = Freeze("f", "audit week", "ada", at("2026-06-01 00:00"), site="other")
    assert decide(calendar, LATE, Circumstances(freezes=(elsewhere,))).open


def test_untrusted_time_closes_everything():
    forced = Override("o", "s", "disk fails", "ada", LATE - HOUR, LATE + HOUR)
    told = Circumstances(untrusted="the clock was set", overrides=(forced,))
    decision = decide(site(NIGHT), LATE, told)
    assert (decision.open, decision.alarm) == (False, True)
    assert "the clock was set" in decision.why[0]
    assert allowed(site(NIGHT), span("2026-06-01 00:00", "2026-07-01 00:00"), told) == ()
    assert open_now(site(NIGHT), LATE, told) == []


@pytest.mark.parametrize(
    "calendar",
    [
        site(NIGHT, zone="Europe/Atlantis"),
        SiteCalendar("s", "UTC", (type(NIGHT)("n", ("s",), "Europe/Atlantis", ("Sat",), "02:00", 60),)),
    ],
)
def test_a_zone_that_was_removed_closes_the_site_with_an_alarm(calendar):
    decision = decide(calendar, LATE)
    assert (decision.open, decision.next, decision.alarm) == (False, None, True)
    assert "Europe/Atlantis" in decision.why[0]


# --- jitter


def test_jitter_is_stable_differs_by_site_and_stays_within_bounds():
    (night,) = occurrences(NIGHT, zone("Europe/Berlin"), date(2026, 6, 6), date(2026, 6, 6))
    delays = {name: jitter(name, night) for name in (f"site-{n}" for n in range(200))}
    assert all(timedelta() <= each <= most_jitter(night.nominal) < 10 * MINUTE for each in delays.values())
    assert len(set(delays.values())) > 100
    assert delays == {name: jitter(name, night) for name in delays}
    assert jitter("berlin", night) == timedelta(seconds=JITTER_OF_BERLIN)


JITTER_OF_BERLIN = 527  # pinned: it must not change with a release, or waves would move


def test_a_short_window_has_a_short_jitter():
    (short,) = occurrences(window("02:00", "02:10"), zone("UTC"), date(2026, 6, 6), date(2026, 6, 6))
    assert all(jitter(str(n), short) < MINUTE for n in range(50))
    assert most_jitter(timedelta(seconds=9)) == timedelta()
    (tiny,) = occurrences(window("02:00", "02:01"), zone("UTC"), date(2026, 6, 6), date(2026, 6, 6))
    assert jitter("s", tiny) < 6 * SECOND


def test_a_site_that_begins_later_says_so():
    calendar = site(NIGHT)
    (stretch, _) = allowed(calendar, span("2026-06-05 12:00", "2026-06-07 12:00"))
    assert stretch.start > SATURDAY
    early = decide(calendar, SATURDAY)
    assert early.next.start == stretch.start
    assert "begins a little later" in early.why[0]


# --- estimates


def test_estimates():
    assert estimate([], expected=1200, reserve=900).needed == 40 * MINUTE
    assert estimate([60], expected=1200, reserve=0).seconds == 1200  # one quick job proves nothing
    assert estimate([3000, 60], expected=1200, reserve=0).seconds == 3000
    assert estimate([60] * 5, expected=1200, reserve=0).seconds == 60
    assert estimate([*range(1, 21)], expected=1, reserve=0).seconds == 19  # 95 of 100 are no longer
    assert estimate([9999, *[60] * 20], expected=1, reserve=0).seconds == 60  # only the last 20 count
    assert estimate([1] * 20, expected=1, reserve=0).needed == 2 * SECOND  # rounded up


# --- edits, once ever, missed


def opened(end: str = "2026-06-06 03:00") -> Opened:
    return Opened("s", "night", date(2026, 6, 6), SATURDAY, at(end))


def test_an_edit_closes_an_open_window_and_never_prolongs_it():
    longer = site(window("02:00", "08:00", ["Sat"], name="night"))
    told = Circumstances(opened=(opened(),))
    assert decide(longer, LATE, told).until == at("2026-06-06 03:00")
    assert decide(longer, LATE).until == at("2026-06-06 06:00")
    shorter = site(window("02:00", "03:00", ["Sat"], name="night"))
    assert decide(shorter, LATE, told).until == at("2026-06-06 01:00")
    assert not decide(site(window("22:00", "23:00", ["Sat"], name="night")), LATE, told).open


def test_an_occurrence_opens_once_ever():
    """The window was open at 02:00; in the morning somebody moves it to 10:00 of the same day."""
    moved = site(window("10:00", "12:00", ["Sat"], name="night"))
    now = at("2026-06-06 09:00")
    assert decide(moved, now).open
    assert not decide(moved, now, Circumstances(opened=(opened(),))).open
    other_site = Opened("t", "night", date(2026, 6, 6), SATURDAY, at("2026-06-06 03:00"))
    assert decide(moved, now, Circumstances(opened=(other_site,))).open


def test_windows_that_passed_without_a_controller():
    calendar = site(NIGHT, blackouts=(blackout("2026-06-13", "2026-06-13"),))
    since, now = at("2026-06-06 01:00"), at("2026-06-20 01:00")
    found = missed(calendar, since, now, [])
    # not the 6th, which had begun; not the 13th, on which nothing was allowed; not the 20th, which is open
    assert [each.day for each in found] == [date(2026, 6, 7), date(2026, 6, 14)]
    seen = Opened("s", "night", date(2026, 6, 14), at("2026-06-14 00:00"), at("2026-06-14 03:00"))
    assert [each.day.day for each in missed(calendar, since, now, [seen])] == [7]
    assert missed(calendar, now, now, []) == missed(calendar, now, since, []) == []


def test_a_controller_that_comes_up_inside_a_window_uses_the_rest():
    decision = decide(site(NIGHT), at("2026-06-06 02:00"))
    assert decision.until == at("2026-06-06 03:00")


def test_what_is_open_now_is_named():
    assert [each.key for each in open_now(site(NIGHT), LATE, Circumstances())] == [
        ("night", date(2026, 6, 6))
    ]
    assert site_occurrences(site(NIGHT), span("2026-06-06 03:00", "2026-06-06 12:00")) == []


# --- notices


def test_enough_time_in_every_32_days():
    weekends = site(window("02:00", "08:00", ["Sat", "Sun"]))
    found = scarcest(weekends, at("2026-06-01 00:00"))
    assert found.time == 47 * HOUR  # eight nights of six hours, less the one that the clocks take in March
    assert found.start <= at("2027-03-28 00:00") < found.start + timedelta(days=32)
    shut = site(window("02:00", "08:00"), blackouts=(blackout("12-01", "01-10"),))
    assert scarcest(shut, at("2026-06-01 00:00")).time == timedelta()
    assert scarcest(site(), at("2026-06-01 00:00")).time == timedelta()


def test_scarcest_is_the_least_of_all_starts():
    calendar = site(
        window("22:00", "04:00", ["Mon", "Fri"]), blackouts=(blackout("2026-08-10", "2026-08-20"),)
    )
    start = at("2026-06-01 00:00")
    spans = allowed(calendar, span("2026-06-01 00:00", "2027-08-01 00:00"), spread=False)
    sums = []
    for hours in range(0, 24 * 368, 5):
        begin = start + hours * HOUR
        end = begin + timedelta(days=32)
        sums.append(
            sum((max(min(s.end, end) - max(s.start, begin), timedelta()) for s in spans), timedelta())
        )
    found = scarcest(calendar, start)
    assert found.time <= min(sums)
    assert min(sums) - found.time < 5 * HOUR


def test_skips_are_told_two_weeks_ahead_with_an_alarm_if_nothing_else_opens():
    alone, also = window("02:00", "03:00", ["Sun"], name="a"), window("02:00", "04:00", ["Wed"], name="b")
    now = at("2026-03-16 12:00")
    (skip,) = skips(site(alone), now)
    assert (skip.occurrence.day, skip.alarm) == (date(2026, 3, 29), True)
    (skip,) = skips(site(alone, also), now)
    assert not skip.alarm
    assert list(skips(site(alone), at("2026-03-14 12:00"))) == []
    assert list(skips(site(alone), at("2026-03-29 12:00"))) == []
    assert len(list(skips(site(alone), at("2026-03-29 01:00")))) == 1
    assert list(skips(site(alone), at("2026-03-15 01:00"))) == []  # in two weeks to the second
    (shortened,) = skips(site(window("02:00", "04:00", ["Sun"])), now)
    assert (shortened.occurrence.status, shortened.alarm) == ("shortened", False)


def test_missed_windows_at_the_edges_of_the_absence():
    calendar = site(NIGHT)
    saturday, end = at("2026-06-06 00:00"), at("2026-06-06 03:00")
    assert missed(calendar, saturday, end, []) == []  # it ran when the window began
    (found,) = missed(calendar, saturday - SECOND, end, [])
    assert found.key == ("night", date(2026, 6, 6))
    assert missed(calendar, saturday - SECOND, end - SECOND, []) == []  # still open
    other = Opened("t", "night", date(2026, 6, 6), saturday, end)
    assert len(missed(calendar, saturday - SECOND, end, [other])) == 1
    gone = site(window("02:00", "03:00", ["Sun"]))
    assert missed(gone, at("2026-03-23 00:00"), at("2026-03-30 00:00"), []) == []  # skipped, not missed
    years = missed(calendar, at("2016-01-01 00:00"), at("2026-06-06 12:00"), [])
    assert years[0].start > at("2025-05-01 00:00")  # nobody needs a list of ten years


def test_the_longest_stretch_is_what_a_job_may_need():
    start = at("2026-06-01 00:00")
    night, later = (
        window("02:00", "05:00", ["Sun"], name="a"),
        window("02:00", "06:00", name="b", valid_from="2026-12-01"),
    )
    assert 2 * HOUR + 50 * MINUTE < longest(site(night), start) <= 3 * HOUR
    assert longest(site(night, later), start) > 3 * HOUR
    assert longest(site(), start) == timedelta()


def test_openings_foreseen_and_moved():
    calendar = site(NIGHT)
    now = at("2026-06-06 01:00")
    ahead = foreseen(calendar, now)
    assert [each.day.day for each in ahead] == [
        7,
        13,
        14,
        20,
        21,
        27,
        28,
        4,
        5,
        11,
    ]  # not the one that is open
    assert ahead[0] == Opened("s", "night", date(2026, 6, 7), at("2026-06-07 00:00"), at("2026-06-07 03:00"))
    assert moved(ahead, calendar, now) == []
    late = [type(each)(each.site, each.window, each.day, each.start + HOUR, each.end) for each in ahead]
    assert moved(late, calendar, now) == list(zip(late, ahead, strict=True))
    assert moved(late, calendar, at("2026-06-20 00:00"))[0][0].day.day == 21
    assert moved(late, site(window("02:00", "05:00", ["Sat", "Sun"], name="other")), now) == []


def test_a_freeze_of_this_very_site():
    here = Circumstances(freezes=(Freeze("f", "audit week", "ada", at("2026-06-01 00:00"), site="s"),))
    decision = decide(site(NIGHT), LATE, here)
    assert (decision.open, decision.next, decision.why) == (False, None, ("frozen by ada: audit week",))


def test_a_skipped_window_does_not_hide_a_later_one():
    gone, later = window("02:00", "03:00", name="a"), window("05:00", "06:00", name="b")
    spans = allowed(site(gone, later), span("2026-03-29 00:00", "2026-03-29 12:00"), spread=False)
    assert spans == (span("2026-03-29 03:00", "2026-03-29 04:00"),)


def test_sites_begin_one_after_another():
    day = span("2026-06-06 00:00", "2026-06-06 12:00")
    calendars = [SiteCalendar(f"site-{n}", "Europe/Berlin", (NIGHT,)) for n in range(20)]
    begins = {allowed(each, day)[0].start for each in calendars}
    assert len(begins) > 10
    assert {decide(each, SATURDAY).why for each in calendars} == {
        ("its window is open, and this site begins a little later than others",)
    }


def test_a_site_that_is_always_open_has_all_of_the_time():
    assert scarcest(site(window("00:00", "00:00"), zone="UTC"), at("2026-06-01 12:00")).time == timedelta(
        days=32
    )


@pytest.mark.parametrize("place", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_days_are_those_of_the_site_wherever_that_is(place):
    """14 hours ahead and 11 behind: it is another day there than in UTC, or where the controller is."""
    here = zone(place)
    for hour in range(24):
        now = at("2026-06-06 00:00") + hour * HOUR
        local = now.astimezone(here)
        calendar = SiteCalendar(
            "s", place, (window(f"{local:%H:%M}", f"{local + HOUR:%H:%M}", [f"{local:%a}"]),)
        )
        assert [each.day for each in open_now(calendar, now, Circumstances())] == [local.date()]
        assert decide(calendar, now + 30 * MINUTE).until == now + HOUR
