"""Windows, blackouts, freezes and overrides together, against a grid of minutes that knows only membership."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.calendar.allowed import Circumstances, allowed, decide
from controller.core.calendar.spans import Span
from inventory.calendar import Blackout, Freeze, MaintenanceWindow, Override, SiteCalendar
from tests.unit.core.calendar import oracle
from tests.unit.core.calendar.support import EVERY

MINUTE = timedelta(minutes=1)
ZONES = ("Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
# A week around the changes of the clocks of some of them.
BASE = datetime(2026, 10, 22, tzinfo=UTC)
SPAN = Span(BASE, BASE + timedelta(days=5))
STEP = 15  # minutes; everything below begins and ends on it

quarters = st.integers(0, 24 * 60 // STEP - 1).map(lambda n: f"{n * STEP // 60:02}:{n * STEP % 60:02}")
windows = st.builds(
    MaintenanceWindow,
    name=st.sampled_from("abcd"),
    sites=st.just(("s",)),
    timezone=st.sampled_from(("", *ZONES)),
    days=st.lists(st.sampled_from(EVERY), min_size=1, unique=True).map(tuple),
    start=quarters,
    minutes=st.integers(1, 24 * 60 // STEP).map(lambda n: n * STEP),
)
days = st.integers(18, 30)
instants = st.integers(-100, 600).map(lambda n: BASE + n * STEP * MINUTE)


@st.composite
def blackouts(draw):
    form = draw(st.sampled_from(("date", "month-day", "instant")))
    if form == "instant":
        first, last = sorted(draw(st.lists(instants, min_size=2, max_size=2, unique=True)))
        start, end = first.isoformat(), last.isoformat()
    else:
        first, last = sorted(draw(st.lists(days, min_size=2, max_size=2)))
        year = "2026-" if form == "date" else ""
        start, end = f"{year}10-{first}", f"{year}10-{last}"
        if form == "month-day" and draw(st.booleans()):
            start, end = end, start  # over New Year: all of the year but the days between
    return Blackout("b", ("s",), start, end, "why", draw(st.booleans()))


@st.composite
def stretches(draw):
    first, last = sorted(draw(st.lists(instants, min_size=2, max_size=2, unique=True)))
    return first, last


def in_windows(instant, calendar, clocks):
    for window in calendar.windows:
        clock = clocks[window.timezone or calendar.timezone]
        for number in range(-3, 7):
            day = BASE.date() + timedelta(days=number)
            if day.strftime("%a") in window.days:
                begin = datetime.fromisoformat(f"{day}T{window.start}")
                start, end = clock.opening(begin, window.minutes)
                if start <= instant < end:
                    return True
    return False


def in_blackout(instant, blackout, zone):
    if "T" in blackout.start:
        return datetime.fromisoformat(blackout.start) <= instant < datetime.fromisoformat(blackout.end)
    today = instant.astimezone(oracle.tz(zone)).date()
    if len(blackout.start) == len("2026-10-20"):
        return date.fromisoformat(blackout.start) <= today <= date.fromisoformat(blackout.end)
    shown = f"{today:%m-%d}"
    if blackout.start <= blackout.end:
        return blackout.start <= shown <= blackout.end
    return shown >= blackout.start or shown <= blackout.end


CLOCKS = {name: oracle.WallClock(name, BASE - timedelta(days=6), BASE + timedelta(days=10)) for name in ZONES}


@settings(max_examples=40)
@given(
    st.sampled_from(ZONES),
    st.lists(windows, max_size=3, unique_by=lambda w: w.name),
    st.lists(blackouts(), max_size=2),
    st.lists(st.tuples(stretches(), st.booleans(), st.booleans()), max_size=1),
    st.lists(st.tuples(stretches(), st.booleans()), max_size=1),
)
def test_allowed_is_what_the_grid_says(zone, some_windows, some_blackouts, freezes, overrides):
    calendar = SiteCalendar("s", zone, tuple(some_windows), tuple(some_blackouts))
    told = Circumstances(
        freezes=tuple(
            Freeze("f", "r", "a", first, None if endless else last, "other" if elsewhere else "")
            for (first, last), endless, elsewhere in freezes
        ),
        overrides=tuple(
            Override("o", "s", "r", "a", first, last, second=waiting) for (first, last), waiting in overrides
        ),
    )
    spans = allowed(calendar, SPAN, told, spread=False)
    assert list(spans) == sorted(spans)
    assert all(first.end < second.start for first, second in pairwise(spans))
    minutes = int(SPAN.length / MINUTE)
    for number in range(0, minutes, STEP):
        instant = SPAN.start + number * MINUTE
        black = [each for each in some_blackouts if in_blackout(instant, each, zone)]
        by_rule = in_windows(instant, calendar, CLOCKS) and not black
        by_hand = any(f <= instant < t and not waiting for (f, t), waiting in overrides) and not any(
            each.hard for each in black
        )
        frozen = any(
            f <= instant and (endless or instant < t) and not elsewhere
            for (f, t), endless, elsewhere in freezes
        )
        expected = (by_rule or by_hand) and not frozen
        assert any(instant in span for span in spans) == expected, instant


@settings(max_examples=60)
@given(st.lists(windows, max_size=2, unique_by=lambda w: w.name), st.lists(blackouts(), max_size=2), instants)
def test_a_decision_is_what_the_spans_say(some_windows, some_blackouts, now):
    calendar = SiteCalendar("s", "Europe/Berlin", tuple(some_windows), tuple(some_blackouts))
    decision = decide(calendar, now)
    spans = allowed(calendar, Span(now, now + timedelta(days=400)))
    assert decision.open == any(now in span for span in spans)
    assert decision.open == (not decision.why)
    later = [span.start for span in spans if span.start > now]
    assert (decision.next.start if decision.next else None) == min(later, default=None)
    if decision.until and decision.until < now + timedelta(days=8):
        assert not decide(calendar, decision.until).open
