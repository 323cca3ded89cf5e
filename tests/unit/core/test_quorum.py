"""The quorum guard's table (planned work), and the property that it never lets quorum go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.quorum import Member, refuse_disruption


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
