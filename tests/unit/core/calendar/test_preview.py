"""A calendar laid out for people: pieces, places, reasons, and the picture's cells."""

from datetime import date

from controller.core.calendar.preview import grid, preview, utc
from controller.core.calendar.zones import zone
from tests.unit.core.calendar.support import at, blackout, site, span, window

SUNDAY = date(2026, 3, 29)


def test_whole_entries():
    (entry,) = preview(site(window("02:00", "04:00", ["Sat"])), date(2026, 6, 6), date(2026, 6, 12))
    assert (entry.window, entry.day, entry.at) == ("w", date(2026, 6, 6), at("2026-06-06 00:00"))
    assert entry.span == span("2026-06-06 00:00", "2026-06-06 02:00")
    assert (entry.minutes, entry.nominal_minutes, entry.status, entry.why) == (120, 120, "open", ())


def test_a_blackout_cuts_and_says_why():
    cut = blackout("2026-06-06T00:30:00Z", "2026-06-06T01:00:00Z")
    far = blackout("2026-06-07", "2026-06-07", name="far")
    entries = preview(
        site(window("02:00", "04:00"), blackouts=(cut, far)), date(2026, 6, 6), date(2026, 6, 7)
    )
    assert [(e.day.day, e.minutes, e.status, e.why) for e in entries] == [
        (6, 30, "shortened", ("blackout b: stocktaking",)),
        (6, 60, "shortened", ("blackout b: stocktaking",)),
        (7, 0, "skipped", ("blackout far: stocktaking",)),
    ]
    assert entries[2].span is None
    assert entries[2].at == at("2026-06-07 00:00")


def test_a_blackout_beside_the_window_changes_nothing():
    before = blackout("2026-06-05T00:00:00Z", "2026-06-06T00:00:00Z")
    (entry,) = preview(
        site(window("02:00", "04:00"), blackouts=(before,)), date(2026, 6, 6), date(2026, 6, 6)
    )
    assert (entry.status, entry.why) == ("open", ())


def test_two_windows_in_the_order_of_their_starts_and_skips_in_their_place():
    late, gone = window("05:00", "06:00", name="a"), window("02:00", "03:00", name="b")
    early = window("00:00", "01:00", name="c")
    entries = preview(site(late, gone, early), SUNDAY, date(2026, 3, 30))
    assert [(e.window, e.day.day, e.status) for e in entries] == [
        ("c", 29, "open"),
        ("b", 29, "skipped"),
        ("a", 29, "open"),
        ("c", 30, "open"),
        ("b", 30, "open"),
        ("a", 30, "open"),
    ]
    assert entries[1].why == ("the clocks change",)
    assert entries[1].nominal_minutes == 60


def test_a_window_in_a_zone_of_its_own():
    theirs = type(window("02:00", "03:00"))("t", ("s",), "Asia/Kathmandu", ("Sat",), "02:00", 60)
    (entry,) = preview(site(theirs), date(2026, 6, 6), date(2026, 6, 6))
    assert entry.at == at("2026-06-05 20:15")


def test_the_cells_of_a_day():
    berlin = zone("Europe/Berlin")
    entries = preview(site(window("02:00", "06:00")), SUNDAY, SUNDAY)
    cells = grid(entries, berlin, SUNDAY, 8)
    assert cells == [0, 1, 0, 0, 0, 0, 0, 0]  # the hour from two to three does not exist
    assert grid(entries, berlin, date(2026, 3, 30), 8) == [0] * 8
    plain = preview(site(window("02:00", "06:00")), date(2026, 6, 6), date(2026, 6, 6))
    assert grid(plain, berlin, date(2026, 6, 6), 24)[:7] == [0, 0, 1, 1, 1, 1, 0]
    assert grid(plain, berlin, date(2026, 6, 6), 8)[0] == 1 / 3
    gone = grid(plain, zone("Pacific/Apia"), date(2011, 12, 30), 4)
    assert gone == [0, 0, 0, 0]


def test_utc_is_written_with_a_z():
    assert utc(at("2026-03-28 22:00").astimezone(zone("Asia/Kathmandu"))) == "2026-03-28T22:00:00Z"
