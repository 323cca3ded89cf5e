"""What windows, freezes and the clock let a rollout begin: asked of a real store and the real calendar."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.app.rollout_gates import Remembered, StoreGates
from controller.app.windows import declare_calendars, freeze, unfreeze
from inventory.calendar import MaintenanceWindow, SiteCalendar
from tests.unit.app.conftest import NOW

HOUR = 3600


@pytest.fixture
def gates(services):
    """A window from 11:30 to 15:00 at site berlin; it is 12:00."""
    services.__dict__["clock_synchronized"] = lambda: True
    window = MaintenanceWindow("noon", ("berlin",), "UTC", ("Mon",), "11:30", 210, "15:00")
    declare_calendars(services, [SiteCalendar("berlin", "UTC", (window,))], actor="test")

    def ask(*, reserve: int = 900, durations: tuple[int, ...] = ()) -> StoreGates:
        return StoreGates(services, reserve=reserve, durations=durations, last=None)

    return ask


def at(hours: float) -> float:
    return (NOW + timedelta(hours=hours)).timestamp()


def test_inside_the_window_a_node_is_admitted_until_its_end(gates):
    found = gates().admits("berlin", at(0), 1200)
    assert (found.ok, found.until) == (True, at(3))


def test_outside_it_none_is_and_the_next_opening_is_told(services, gates):
    services.clock.at = NOW + timedelta(hours=4)
    found = gates().admits("berlin", at(4), 1200)
    assert (found.ok, found.reason) == (False, "outside its maintenance windows")
    assert at(7 * 24 - 1) <= found.opens <= at(7 * 24)


def test_a_node_that_could_not_be_undone_in_time_is_not_begun(gates):
    """20 minutes and a quarter, and 15 to undo it: 40 minutes before the end it is too late."""
    assert gates().admits("berlin", at(3) - 40 * 60, 1200).ok
    late = gates().admits("berlin", at(3) - 40 * 60 + 1, 1200)
    assert (late.ok, late.reason) == (False, "39 min are left, and one node may take 40 min")


def test_what_nodes_really_took_counts(gates):
    slow = (HOUR,) * 10
    assert not gates(durations=slow).admits("berlin", at(2), 1200).ok
    assert gates(durations=slow).admits("berlin", at(1), 1200).ok


def test_a_freeze_of_everything_and_of_one_site(services, gates):
    assert gates().frozen() == ""
    freeze(services, reason="audit week, nobody may work", actor="anna", site="berlin")
    assert gates().frozen() == ""
    assert "audit week" in gates().admits("berlin", at(0), 1200).reason
    freeze(services, reason="everything stops until noon", actor="anna")
    assert gates().frozen() == "frozen by anna: everything stops until noon"
    unfreeze(services, reason="the audit is over now", actor="anna")
    assert gates().frozen() == ""


def test_a_site_nobody_declared_is_closed(gates):
    assert "cto apply declares them" in gates().admits("oslo", at(0), 1200).reason


def test_nothing_opens_while_the_clock_is_not_trusted(services, gates):
    services.__dict__["clock_synchronized"] = lambda: False
    services.store.keep_time(NOW, "set by a day")
    assert "not trusted" in gates().admits("berlin", at(0), 1200).reason


# --- what calendars said is remembered, and never longer than it is true


@pytest.fixture
def remembering(services, gates):
    """(gates that remember, gates that compute anew), at the same moments."""
    kept = Remembered()

    def ask(moment: float):
        services.clock.at = datetime.fromtimestamp(moment, UTC)
        one = StoreGates(services, reserve=60, durations=(), last=None, remembered=kept)
        other = StoreGates(services, reserve=60, durations=(), last=None)
        return one.admits("berlin", moment, 60), other.admits("berlin", moment, 60)

    return ask


def test_what_is_remembered_is_what_would_be_computed(services, remembering):
    """Through a morning: before the window, at its edges, with a freeze that comes and goes, and backwards."""
    moments = [at(-0.6 + number / 200) for number in range(60)]
    moments += [at(3) + seconds for seconds in (-200, -121, -120, -119, -1, 0, 1, 29, 31)]
    moments += [at(1), at(0.5), at(0.5) + 1]
    for moment in moments:
        kept, fresh = remembering(moment)
        assert (kept.ok, kept.until, kept.opens) == (fresh.ok, fresh.until, fresh.opens), moment
    freeze(services, reason="audit week, nobody may work", actor="anna", site="berlin")
    kept, fresh = remembering(at(0.5) + 2)
    assert (kept.ok, kept.reason) == (False, fresh.reason)
    unfreeze(services, reason="the audit is over now", actor="anna", site="berlin")
    assert remembering(at(0.5) + 3)[0].ok


def test_another_window_is_another_answer(services, remembering):
    assert remembering(at(0))[0].ok
    declare_calendars(services, [SiteCalendar("berlin", "UTC", ())], actor="test")
    kept, fresh = remembering(at(0) + 1)
    assert (kept.ok, fresh.ok) == (False, False)
