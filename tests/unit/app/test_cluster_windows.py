"""When something that disturbs a cluster may begin: windows, blackouts, freezes, and what they let pass."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from controller.app.cluster_windows import closed, refuse_closed, refuse_frozen
from controller.app.endpoint_move import begun
from controller.app.windows import declare_calendars, freeze, request_override, unfreeze
from controller.store import StepRef
from inventory.calendar import Blackout, MaintenanceWindow, SiteCalendar
from inventory.errors import RefusedError
from inventory.fleet import Cluster, Fleet, Site

AT_NIGHT = MaintenanceWindow("night", ("berlin",), "", ("Tue",), "02:00", 180, "05:00")
CHRISTMAS = Blackout("christmas", ("berlin",), "12-20", "12-27", "the shop is full")
CLUSTER = Cluster("berlin", "berlin", "https://10.0.0.9:6443", "1.36.3", ())


@pytest.fixture
def fleet(services):
    """Its site's clock shows 12:00 on a Monday in March, and nothing is declared of its time."""
    site = Site("berlin", "acme", "UTC", ("berlin",))
    services.store.declare(Fleet("acme", {"berlin": site}, {"berlin": CLUSTER}, {}), actor="test")
    return services


def with_calendar(services, *, windows=(), blackouts=()) -> None:
    made = SiteCalendar("berlin", "UTC", tuple(windows), tuple(blackouts))
    declare_calendars(services, [made], actor="test")


def at(services, day: int, hour: int, minute: int = 0, *, month: int = 3) -> None:
    services.clock.at = datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_a_site_that_says_nothing_of_its_time_is_open(fleet):
    assert closed(fleet, "berlin", 900) is None
    with_calendar(fleet)
    assert closed(fleet, "berlin", 900) is None
    assert closed(fleet, "nowhere", 900) is None


def test_a_site_with_windows_is_closed_outside_of_them(fleet):
    with_calendar(fleet, windows=[AT_NIGHT])
    with pytest.raises(RefusedError, match="berlin is closed: outside its maintenance windows") as refused:
        refuse_closed(fleet, "berlin", 60, where="cp-2")
    assert refused.value.where == "cp-2"
    assert "from 2026-03-03T02:" in refused.value.fix
    assert "cto window override --site berlin" in refused.value.fix
    at(fleet, 3, 2, 30)  # a tenth of the window at most goes to the order of sites
    assert closed(fleet, "berlin", 60) is None


def test_it_has_to_fit_with_a_quarter_to_spare(fleet):
    with_calendar(fleet, windows=[AT_NIGHT])
    at(fleet, 3, 4, 0)
    assert closed(fleet, "berlin", 48 * 60) is None
    found = closed(fleet, "berlin", 49 * 60)
    assert found is not None
    assert "its window has 60 min left, and this may take 61 min" in found.why


def test_an_override_opens_it(fleet):
    with_calendar(fleet, windows=[AT_NIGHT])
    made = request_override(fleet, site="berlin", reason="disk fails", length=timedelta(hours=2), actor="me")
    assert closed(fleet, "berlin", 60) is not None
    fleet.clock.at = made.since
    assert closed(fleet, "berlin", 60) is None


@pytest.mark.parametrize("windows", [(), (AT_NIGHT,)])
def test_a_freeze_holds_whatever_the_windows_say(fleet, windows):
    with_calendar(fleet, windows=windows)
    at(fleet, 3, 3)
    for site in ("", "berlin"):
        freeze(fleet, reason="audit week", actor="anna", site=site)
        with pytest.raises(RefusedError, match="frozen by anna: audit week") as refused:
            refuse_frozen(fleet, "berlin")
        assert "cto window unfreeze" in refused.value.fix
        assert closed(fleet, "berlin", 1) is not None
        unfreeze(fleet, reason="it is over", actor="anna", site=site)
    freeze(fleet, reason="audit week", actor="anna", until=fleet.clock.at + timedelta(hours=1))
    fleet.clock.at += timedelta(hours=1)
    refuse_frozen(fleet, "berlin")
    assert closed(fleet, "berlin", 1) is None


def test_a_blackout_holds_where_there_are_no_windows(fleet):
    with_calendar(fleet, blackouts=[CHRISTMAS])
    assert closed(fleet, "berlin", 1) is None
    at(fleet, 24, 12, month=12)
    found = closed(fleet, "berlin", 1)
    assert found is not None
    assert "blackout christmas: the shop is full" in found.why
    refuse_frozen(fleet, "berlin")  # what repairs is not held by it


def test_a_move_that_was_begun_is_known(fleet):
    assert not begun(fleet, CLUSTER)
    fleet.store.start_engine(os.getpid())
    run = fleet.store.queue_run("apply", {}, actor="test", options={})
    step = fleet.store.begin(StepRef(run, "cluster", "berlin", "move-endpoint"), detail={})
    assert begun(fleet, CLUSTER)
    fleet.store.finish(step, outcome="indeterminate", detail={})
    assert begun(fleet, CLUSTER)
