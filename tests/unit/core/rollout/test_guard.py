"""The quorum guard in full: the table of planned work and remedy, and that quorum never goes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.quorum import MemberRead, Purpose, Reading, guard


def reading(*well: bool, **more: object) -> Reading:
    members = [MemberRead(f"cp-{i}", started=w) for i, w in enumerate(well)]
    return replace(Reading(0.0, min(2, max(1, sum(well))), members, len(members)), **more)


@pytest.mark.parametrize(
    ("well", "planned", "remedy"),
    [
        ((True,), False, True),
        ((True, True), False, False),
        ((True, False), False, False),
        ((False, True), False, False),  # floor fails: two persons decide
        ((True, True, True), True, True),
        ((True, False, True), False, False),
        ((False, True, True), True, True),
        ((True,) * 4, True, True),
        ((True, False, True, True), False, False),
        ((False, True, True, True), True, True),
        ((True,) * 5, True, True),
        ((True, False, True, True, True), False, True),
        ((False, False, True, True, True), False, True),
    ],
)
def test_table(well: tuple[bool, ...], planned: bool, remedy: bool) -> None:
    assert (guard("cp-0", reading(*well)) == "") is planned
    assert (guard("cp-0", reading(*well), purpose=Purpose.REMEDY) == "") is remedy


def test_one_member_with_accepted_downtime() -> None:
    assert guard("cp-0", reading(True), accept_downtime=True) == ""


@pytest.mark.parametrize(
    "bad",
    [
        {"learner": True},
        {"busy": True},
        {"started": False},
        {"alarms": ("NOSPACE",)},
        {"alarms": ("CORRUPT",)},
        {"lag": 1000},
        {"free_percent": 19},
        {"read_seconds": 15.1},
        {"read_seconds": None},
    ],
)
def test_another_member_in_any_trouble_stops_planned_work(bad: dict[str, object]) -> None:
    good = reading(True, True, True)
    members = [good.members[0], replace(good.members[1], **bad), good.members[2]]
    assert guard("cp-0", replace(good, members=members)) != ""


@pytest.mark.parametrize("edge", [{"lag": 999}, {"free_percent": 20}, {"read_seconds": 15.0}])
def test_edges_that_are_still_well(edge: dict[str, object]) -> None:
    good = reading(True, True, True)
    members = [good.members[0], replace(good.members[1], **edge), good.members[2]]
    assert guard("cp-0", replace(good, members=members)) == ""


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"age": 5.0}, True),
        ({"age": 5.1}, False),
        ({"age": -0.1}, False),  # read in the future: the clock was set
        ({"endpoints": 1}, False),
        ({"expected": 4}, False),
    ],
)
def test_a_reading_must_be_fresh_agreed_and_complete(change: dict[str, object], allowed: bool) -> None:
    assert (guard("cp-0", reading(True, True, True, **change)) == "") is allowed


def test_who_is_to_be_mended_need_not_answer_and_two_others_must() -> None:
    alone = reading(False, endpoints=0)
    assert guard("cp-0", alone, purpose=Purpose.REMEDY) == ""
    assert "endpoints agree" in guard("cp-0", alone)
    for well in ((True, True, True), (False, True, True)):
        one = reading(*well, endpoints=1)
        assert "endpoints agree" in guard("cp-0", one, purpose=Purpose.REMEDY)


def test_unknown_victim_and_jobs_under_way() -> None:
    assert "not among" in guard("cp-9", reading(True, True, True))
    assert "under way" in guard("cp-0", reading(True, True, True), in_flight=["cp-1"])
    five = reading(*(True,) * 5)
    assert "one disruption" in guard("cp-0", five, purpose=Purpose.REMEDY, in_flight=["cp-1"])
    assert guard("cp-0", five, purpose=Purpose.REMEDY, in_flight=["worker", "cp-0"]) == ""


@given(st.lists(st.booleans(), min_size=2, max_size=7), st.sampled_from(list(Purpose)), st.data())
def test_quorum_of_well_members_always_stays(well: list[bool], purpose: Purpose, data: st.DataObject) -> None:
    victim = data.draw(st.integers(0, len(well) - 1))
    flying = data.draw(st.sets(st.integers(0, len(well) - 1)))
    names = [f"cp-{i}" for i in flying if i != victim]
    if guard(f"cp-{victim}", reading(*well), purpose=purpose, in_flight=names) == "":
        left = sum(w and i not in flying for i, w in enumerate(well) if i != victim)
        assert left >= len(well) // 2 + 1
        if purpose is Purpose.PLANNED:
            assert left == len(well) - 1
