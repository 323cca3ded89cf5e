"""What the store keeps of the maintenance calendar, and that it keeps it once and for all."""

from datetime import UTC, date, datetime, timedelta

import pytest

from controller.store import StoreQueries
from controller.store.windows import frozen_reason
from inventory.calendar import Blackout, Freeze, MaintenanceWindow, Opened, Override, SiteCalendar
from inventory.errors import OperatorError, RefusedError

HOUR = timedelta(hours=1)
CALENDAR = SiteCalendar(
    "berlin",
    "Europe/Berlin",
    (
        MaintenanceWindow(
            "night", ("berlin",), "", ("Sat", "Sun"), "02:00", 180, "05:00", valid_until="2027-01-01"
        ),
    ),
    (Blackout("xmas", ("berlin",), "12-24", "01-01", "nobody is here", hard=True),),
)


def freeze(store, id_="f", *, site="", until=None, reason="audit week"):
    store.freeze(Freeze(id_, reason, "ada", store._now(), until, site))


def opened(hours=3, day=6):
    start = datetime(2026, 6, day, tzinfo=UTC)
    return Opened("berlin", "night", date(2026, 6, day), start, start + hours * HOUR)


def kinds(store):
    return [event.kind for event in store.events()]


def actions(store):
    return [
        tuple(row) for row in store._rows("SELECT actor, action, object, reason FROM audit ORDER BY seq")
    ][1:]


def test_calendars_come_back_as_they_were_declared(store, home):
    assert store.declare_calendars([CALENDAR], actor="ada") == ("berlin",)
    assert store.calendars() == (CALENDAR,)
    assert store.declare_calendars([CALENDAR], actor="ada") == ()
    assert kinds(store) == ["CalendarChanged"]
    other = SiteCalendar("porto", "Europe/Lisbon")
    assert store.declare_calendars([other], actor="ada") == ("porto",)
    with StoreQueries(home) as queries:
        assert queries.calendars() == (CALENDAR, other)  # what another file declared stays


def test_freezes_hold_until_lifted_or_over(store, clock, home):
    freeze(store)
    freeze(store, "g", site="berlin", until=store._now() + HOUR)
    assert [each.site for each in store.freezes()] == ["", "berlin"]
    with store._unit() as unit:
        assert frozen_reason(unit, "porto") == "frozen by ada: audit week"
    assert [each.id for each in store.unfreeze("", actor="bob", reason="audit is over")] == ["f"]
    assert store.unfreeze("", actor="bob", reason="audit is over") == ()
    with store._unit() as unit:
        assert (frozen_reason(unit, "porto"), bool(frozen_reason(unit, "berlin"))) == ("", True)
    with StoreQueries(home) as queries:
        assert [each.id for each in queries.freezes(store._stamp())] == ["g"]
        assert queries.freezes("2099-01-01T00:00:00.000Z") == ()
    assert kinds(store) == ["Frozen", "Frozen", "Unfrozen"]
    assert actions(store) == [
        ("ada", "freeze", "fleet", "audit week"),
        ("ada", "freeze", "site/berlin", "audit week"),
        ("bob", "unfreeze", "fleet", "audit is over"),
    ]
    assert store.audit_verify().ok


def test_one_override_a_site(store, home):
    now = store._now()
    asked = Override("o", "berlin", "a disk fails", "ada", now, now + HOUR, second=True)
    store.put_override(asked, actor="ada", action="request")
    assert store.overrides() == (asked,)
    other = Override("p", "berlin", "again", "ada", now + HOUR, now + 2 * HOUR)
    with pytest.raises(RefusedError, match="has an override"):
        store.put_override(other, actor="ada", action="request")
    store.put_override(
        Override("q", "porto", "there too", "ada", now, now + HOUR), actor="ada", action="request"
    )
    agreed = Override(
        "o", "berlin", "a disk fails", "ada", now, now + 2 * HOUR, second=True, approved_by="bob"
    )
    store.put_override(agreed, actor="bob", action="approve")
    assert store.override("o") == agreed
    store.cancel_override(agreed, actor="bob", reason="replaced it")
    with pytest.raises(OperatorError, match="no override 'o'"):
        store.override("o")
    store.put_override(other, actor="ada", action="request")
    with StoreQueries(home) as queries:
        assert [each.id for each in queries.overrides(store._stamp())] == ["q", "p"]
    assert kinds(store) == [
        "OverrideRequest",
        "OverrideRequest",
        "OverrideApprove",
        "OverrideCancelled",
        "OverrideRequest",
    ]
    assert ("bob", "cancel override", "site/berlin", "replaced it") in actions(store)


def test_an_occurrence_is_noted_once_and_only_shrinks(store):
    assert store.note_opened([opened()]) == [opened()]
    assert store.note_opened([opened(hours=9)]) == []
    assert store.opened(opened().start) == (opened(),)
    assert store.note_opened([], [opened(hours=1)]) == []
    store.note_opened([opened()])
    assert store.opened(opened().start) == (opened(hours=1),)
    assert store.opened(opened().start + 2 * HOUR) == ()
    assert kinds(store) == ["WindowOpened"]


def test_missed_windows_are_one_event(store):
    store.note_opened([opened(day=7)])
    store.note_missed("berlin", [opened(day=6), opened(day=7), opened(day=13)])
    store.note_missed("berlin", [opened(day=6), opened(day=13)])
    (event,) = [event for event in store.events() if event.kind == "WindowsMissed"]
    assert event.data == {"count": 2}
    assert len(store.opened(opened().start)) == 1  # a missed one was never open
    # an edit moves it to the afternoon: it opens after all, once
    assert store.note_opened([opened(day=13)]) == [opened(day=13)]
    assert store.note_opened([opened(day=13)]) == []


def test_the_time_floor_and_its_trust(store, home):
    first, _ = store.time_state()
    assert first  # of the row that says that the store was made
    floor = datetime(2026, 6, 6, tzinfo=UTC)
    store.keep_time(floor, "")
    store.keep_time(floor, "the clock was set")
    store.keep_time(floor, "the clock was set")
    assert kinds(store) == ["TimeUntrusted"]
    with StoreQueries(home) as queries:
        assert queries.time_state() == ("2026-06-06T00:00:00.000Z", "the clock was set")
    store.confirm_time(floor - HOUR, actor="ada", reason="compared with a phone")
    assert store.time_state() == ("2026-06-05T23:00:00.000Z", "")
    assert actions(store)[-1] == ("ada", "confirm the clock", "time", "compared with a phone")


def test_a_home_without_a_store_has_no_calendar(home):
    with StoreQueries(home) as queries:
        assert (queries.calendars(), queries.freezes(""), queries.time_state()) == ((), (), ("", ""))
