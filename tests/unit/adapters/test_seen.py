"""The list of announcements: contradictions stay visible, nothing grows without bound, nothing steers a terminal."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.discovery import _enroll_id
from controller.adapters.seen import MAX_INSTANCES, SeenList, display

AT = datetime(2026, 11, 25, tzinfo=UTC)


def announce(seen, name, *, host="", address="10.0.0.1", port=22, enroll_id="aa", now=0.0, life=120.0):
    host = host or f"{name}.local."
    seen.service(name, host, port, at=AT, monotonic=now, life=life)
    seen.text(name, enroll_id, at=AT, monotonic=now, life=4500)
    seen.addresses(host, [address] if isinstance(address, str) else address, monotonic=now, life=life)


def conflicts(seen: SeenList, now: float = 1.0) -> dict[str, str]:
    return {each.instance: each.conflict for each in seen.snapshot(now)}


def test_honest_machines_have_no_conflict() -> None:
    seen = SeenList()
    announce(seen, "a", address=["10.0.0.1", "fd00::1"], enroll_id="aa")
    announce(seen, "b", address="10.0.0.2", enroll_id="bb")
    assert conflicts(seen) == {"a": "", "b": ""}
    assert seen.snapshot(1.0)[0].addresses == ("10.0.0.1", "fd00::1")


def test_the_same_announcement_again_is_no_conflict() -> None:
    seen = SeenList()
    for now in (0.0, 50.0, 100.0):
        announce(seen, "a", now=now)
    assert conflicts(seen, 101.0) == {"a": ""}


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"name": "a", "address": "10.6.6.6"}, "announced at 10.0.0.1 and at 10.6.6.6"),
        (
            {"name": "a", "host": "evil.local.", "address": "10.6.6.6"},
            "two places: a.local. port 22 and evil.local. port 22",
        ),
        ({"name": "a", "port": 2222}, "port 22 and a.local. port 2222"),
        ({"name": "A", "host": "a.local.", "address": "10.6.6.6"}, "10.6.6.6"),
        ({"name": "a", "enroll_id": "evil"}, "two enroll ids: aa and evil"),
        ({"name": "b", "address": "10.0.0.2", "enroll_id": "aa"}, "same enroll id as b"),
        ({"name": "b", "address": "10.0.0.1", "enroll_id": "bb"}, "same address and port as b"),
    ],
)
def test_contradictions_are_flagged_and_never_merged(second, says: str) -> None:
    seen = SeenList()
    announce(seen, "a")
    announce(seen, **{"enroll_id": "aa", **second})
    assert says in conflicts(seen)["a"]


def test_a_spoofed_address_stands_beside_the_first_one_instead_of_replacing_it() -> None:
    seen = SeenList()
    announce(seen, "a", address="10.0.0.1")
    announce(seen, "a", address="10.6.6.6")
    (only,) = seen.snapshot(1.0)
    assert only.addresses == ("10.0.0.1", "10.6.6.6")
    assert only.conflict


def test_a_second_address_in_one_answer_is_no_spoof() -> None:
    seen = SeenList()
    announce(seen, "a", address="10.0.0.1")
    announce(seen, "a", address=["10.0.0.1", "10.1.0.1"])
    assert conflicts(seen) == {"a": ""}


def test_claims_run_out_and_so_does_the_conflict() -> None:
    seen = SeenList()
    announce(seen, "a", address="10.0.0.1", now=0, life=120)
    announce(seen, "a", address="10.0.0.2", now=100, life=120)
    assert conflicts(seen, 101)["a"]
    assert conflicts(seen, 121) == {"a": ""}
    assert conflicts(seen, 300) == {}


def test_a_goodbye_removes_it() -> None:
    seen = SeenList()
    announce(seen, "Node-1")
    seen.goodbye("node-1")
    assert seen.snapshot(1.0) == ()


def test_an_answer_that_comes_after_the_goodbye_does_not_bring_it_back() -> None:
    seen = SeenList()
    announce(seen, "Node-1")
    seen.goodbye("node-1")
    announce(seen, "Node-1")  # sent before it left, heard after
    assert seen.snapshot(1.0) == ()
    assert seen.incomplete() == ()
    seen.announce("Node-1", AT)
    announce(seen, "Node-1")
    assert conflicts(seen) == {"Node-1": ""}


def test_goodbyes_of_strangers_take_no_room() -> None:
    seen = SeenList()
    for number in range(3 * MAX_INSTANCES):
        seen.goodbye(f"n{number}")
        announce(seen, f"n{number % MAX_INSTANCES}")
    assert len(seen.snapshot(1.0)) == MAX_INSTANCES


def test_what_is_about_to_run_out_is_asked_for_again() -> None:
    seen = SeenList()
    announce(seen, "a", now=0, life=120)
    assert seen.expiring(50, within=30) == ()
    assert seen.expiring(95, within=30) == ("a",)


def test_a_name_alone_is_asked_for_but_not_shown() -> None:
    seen = SeenList()
    seen.announce("a", AT)
    assert seen.incomplete() == ("a",)
    assert seen.snapshot(0.0) == ()


def test_a_flood_of_names_stops_at_the_cap_and_is_counted() -> None:
    seen = SeenList()
    for number in range(MAX_INSTANCES + 7):
        announce(seen, f"n{number}", address=f"10.{number // 250}.{number % 250}.1", enroll_id=f"{number}")
    assert len(seen.snapshot(1.0)) == MAX_INSTANCES
    assert seen.ignored >= 7


def test_a_flood_of_claims_for_one_name_is_capped() -> None:
    seen = SeenList()
    for number in range(500):
        announce(seen, "a", host=f"h{number}.local.", address=f"10.0.{number // 250}.{number % 250}")
    (only,) = seen.snapshot(1.0)
    assert len(only.addresses) <= 16
    assert only.conflict


def test_addresses_of_hosts_that_no_service_names_are_not_kept() -> None:
    seen = SeenList()
    seen.addresses("printer.local.", ["10.0.0.9"], monotonic=0, life=120)
    assert not seen._hosts


def test_names_can_not_steer_a_terminal() -> None:
    assert display("a\x1b[2Jb\n") == "a�[2Jb�"
    seen = SeenList()
    announce(seen, "x\x1b]0;owned\x07", enroll_id="\x1b[31m")
    (only,) = seen.snapshot(1.0)
    assert "\x1b" not in only.instance + only.enroll_id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"\x03v=1\x12enroll_id=0a1b2c3d", "0a1b2c3d"),
        (b"\x12enroll_id=0a1b2c3d\x03V=1", "0a1b2c3d"),
        (b"\x12enroll_id=0a1b2c3d", ""),
        (b"\x03v=2\x12enroll_id=0a1b2c3d", ""),
        (b"\x03v=1\x0cenroll_id=aa\x0cenroll_id=bb", "aa"),
        (b"", ""),
        (b"\xff", ""),
    ],
)
def test_only_version_and_enroll_id_are_read(text: bytes, found: str) -> None:
    assert _enroll_id(text) == found


@given(st.binary(max_size=2000))
def test_any_text_record_is_read_without_an_exception(text: bytes) -> None:
    assert len(_enroll_id(text)) <= 64
