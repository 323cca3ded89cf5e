"""The quorum guard's table (planned work), and the property that it never lets quorum go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.quorum import (
    Member,
    MemberRead,
    Reading,
    lost,
    refuse_disruption,
    refuse_join,
    refuse_leave,
)


def members(*well: bool) -> list[Member]:
    return [Member(f"cp-{i}", w) for i, w in enumerate(well)]


@pytest.mark.parametrize(
    ("well", "allowed"),
    [
        ((True, True, True), True),
        ((True, False, True), False),
        ((False, True, True), True),  # the victim itself is ill: disrupting it costs nothing more
        ((True, True), False),
        ((True,) * 4, True),
        ((True,) * 5, True),
        ((True, False, True, True, True), False),  # the hard floor would allow it; planned work does not
    ],
)
def test_table(well: tuple[bool, ...], allowed: bool) -> None:
    assert (refuse_disruption("cp-0", members(*well), accept_downtime=False) == "") is allowed


def test_single_control_plane_needs_a_word() -> None:
    assert "only control plane" in refuse_disruption("cp-0", members(True), accept_downtime=False)
    assert refuse_disruption("cp-0", members(True), accept_downtime=True) == ""


def test_learner_stops_everything() -> None:
    found = [*members(True, True, True), Member("cp-3", well=True, learner=True)]
    assert "still joins etcd" in refuse_disruption("cp-0", found, accept_downtime=True)


@given(st.lists(st.booleans(), min_size=2, max_size=9), st.data())
def test_quorum_of_well_members_always_stays(well: list[bool], data: st.DataObject) -> None:
    found = members(*well)
    victim = data.draw(st.sampled_from(found))
    if refuse_disruption(victim.name, found, accept_downtime=True) == "":
        left = sum(m.well for m in found if m is not victim)
        assert left >= len(found) // 2 + 1


def etcd(*names: str, ill: str = "", learner: str = "", age: float = 1.0, expected: int = 0) -> Reading:
    """Members by a letter each; those in `ill` don't answer."""
    members = [
        MemberRead(name, started=name not in ill, learner=name in learner, read_seconds=0.1) for name in names
    ]
    answering = sum(m.started for m in members)
    return Reading(age, answering, members, expected or len(names))


def test_a_control_plane_joins_only_when_all_are_well():
    assert refuse_join("b", etcd("a")) == ""
    assert refuse_join("d", etcd("a", "b", "c")) == ""
    assert "b is not started" in refuse_join("d", etcd("a", "b", "c", ill="b"))
    assert "still joins" in refuse_join("c", etcd("a", "b", learner="b"))
    assert "6 s old" in refuse_join("b", etcd("a", age=6.0))
    assert "fleet has 3" in refuse_join("d", etcd("a", "b", expected=3))
    alone = replace(etcd("a", "b", "c"), endpoints=1)
    assert "endpoints agree" in refuse_join("d", alone)
    alarm = [MemberRead("a", started=True, alarms=("NOSPACE",))]
    assert "NOSPACE" in refuse_join("b", Reading(0.0, 1, alarm, 1))


@pytest.mark.parametrize(
    ("members", "ill", "dead", "reason"),
    [
        ("abc", "", False, ""),
        ("ab", "", False, ""),
        ("a", "", False, "last member"),
        ("abc", "b", False, "b is not started"),
        ("abc", "c", True, ""),  # the one that leaves is the dead one
        ("abc", "bc", True, "1 of 3"),
        ("ab", "b", True, "1 of 2"),
        ("abcde", "e", True, ""),
        ("abcde", "de", True, ""),
        ("abcde", "cde", True, "2 of 5"),
        ("abcde", "a", False, "a is not started"),
        ("abcd", "d", True, ""),
    ],
)
def test_a_member_leaves_only_if_the_rest_has_a_quorum(members, ill, dead, reason):
    told = refuse_leave(members[-1], etcd(*members, ill=ill), dead=dead)
    assert (reason in told) if reason else told == ""


def test_two_who_are_left_need_both_and_a_stranger_can_not_leave():
    # Of three, one is ill; another is removed as dead although it answers: the last one would stand alone of two.
    assert "2 of 3" not in refuse_leave("c", etcd("a", "b", "c", ill="b"), dead=True)
    assert refuse_leave("c", etcd("a", "b", "c", ill="b"), dead=True)
    assert "not among the members" in refuse_leave("x", etcd("a", "b", "c"), dead=False)
    assert "9 s old" in refuse_leave("c", etcd("a", "b", "c", age=9.0), dead=False)
    assert "still joins" in refuse_leave("a", etcd("a", "b", "c", "d", learner="d"), dead=False)


def test_a_quorum_is_lost_when_fewer_than_half_and_one_are_well():
    assert not lost(etcd("a", "b", "c", ill="b"))
    assert lost(etcd("a", "b", "c", ill="bc"))
    assert lost(etcd("a", "b", ill="b"))
    assert not lost(etcd("a", "b", "c", learner="bc", ill="bc"))
