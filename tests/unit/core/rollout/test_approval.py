"""Who may approve a wave, when it counts, and how it is taken back."""

from dataclasses import replace

import pytest

from controller.core.rollout.messages import Command, Event, Verb
from controller.core.rollout.model import Policy, RolloutState, Status, Target
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.core.rollout.status import summary
from controller.core.rollout.step import step
from controller.core.rollout.verbs import ALONE
from tests.unit.core.rollout.gates import NOW, Open


def made(waves: tuple[int, ...] = (1, 100), approval: str = "each-wave", clusters: int = 3) -> RolloutState:
    members = [
        Cluster(f"c{i}", f"s{i}", tuple(Node(f"c{i}n{j}", True, "1.13.8", "1.36.1") for j in range(3)))
        for i in range(clusters)
    ]
    policy = Policy(waves_percent=waves, approval=approval)
    planned = create("r", Target(talos="1.13.9"), policy, members, releases=Releases(("1.13.8", "1.13.9")))
    return replace(planned.state, started_by="local:ada", wall=NOW, clock=100.0)


def say(state: RolloutState, verb: Verb, actor: str, at: float = 0.0, wave: int = 0) -> tuple[RolloutState, list[Event]]:  # fmt: skip
    order = Command(f"{verb}-{actor}-{at}", verb, actor, "the canary looks good", wave=wave)
    after, _, events = step(state, [order], NOW + at, Open())
    return after, [event for event in events if event.kind != "approval-wanted"]


def goes_on(state: RolloutState, seconds: float, since: float = 0.0) -> RolloutState:
    at = since
    while at < since + seconds:
        at += 20
        state, _, _ = step(state, [], NOW + at, Open())
    return state


def test_another_person_approves_and_it_counts_at_once() -> None:
    state = goes_on(made(), 60)
    assert not state.waves[0].started
    after, events = say(state, Verb.APPROVE, "user:bob", 61)
    assert after.waves[0].started
    assert [e.kind for e in events if e.subject == "r"] == ["approve", "wave-started"]


def test_people_are_told_once_that_a_wave_waits_for_them() -> None:
    told: list[Event] = []
    state = made()
    for second in range(0, 600, 20):
        state, _, events = step(state, [], NOW + second, Open())
        told += [event for event in events if event.kind == "approval-wanted"]
    assert [event.data for event in told] == [{"wave": 1}]
    assert "cto rollout approve r --wave 1" in told[0].text


def test_whoever_started_it_is_not_the_second_person() -> None:
    state, events = say(made(), Verb.APPROVE, "local:ada")
    assert [event.kind for event in events] == ["refused"]
    assert "second person" in events[0].text
    assert not goes_on(state, 3600).waves[0].started


def test_alone_it_counts_after_ten_minutes_of_a_running_engine() -> None:
    state, _ = say(made(), Verb.APPROVE_ALONE, "local:ada")
    assert summary(state).waves[0].state == "approval"
    almost = goes_on(state, ALONE - 20)
    assert not almost.waves[0].started
    assert goes_on(almost, 40, ALONE - 20).waves[0].started


def test_a_clock_that_is_set_forward_does_not_shorten_it() -> None:
    state, _ = say(made(), Verb.APPROVE_ALONE, "local:ada")
    after, _, _ = step(state, [], NOW + 86400, Open())
    assert not after.waves[0].started


def test_within_the_ten_minutes_it_can_be_withdrawn_or_another_agrees() -> None:
    state, _ = say(made(), Verb.APPROVE_ALONE, "local:ada")
    gone, events = say(state, Verb.WITHDRAW, "local:ada", 60)
    assert [event.kind for event in events] == ["withdraw"]
    assert not goes_on(gone, 3600, 60).waves[0].started
    agreed, _ = say(state, Verb.APPROVE, "user:bob", 60)
    assert agreed.waves[0].started
    assert agreed.waves[0].approved_by == "user:bob"


def test_what_was_begun_can_not_be_withdrawn() -> None:
    state, _ = say(made(), Verb.APPROVE, "user:bob")
    after, events = say(state, Verb.WITHDRAW, "user:bob", 5)
    assert "begun" in events[0].text
    assert after.waves[0].approved_by == "user:bob"
    for wave in (1, 9, -1):
        _, events = say(state, Verb.WITHDRAW, "user:bob", 6, wave)
        assert events[0].kind == "refused"


def test_approving_once_more_does_not_begin_the_ten_minutes_anew() -> None:
    state, _ = say(made(), Verb.APPROVE_ALONE, "local:ada")
    again, events = say(goes_on(state, 300), Verb.APPROVE_ALONE, "local:ada", 301)
    assert events == []
    assert again.waves[0].holds_from == state.waves[0].holds_from


@pytest.mark.parametrize(
    ("clusters", "waves", "gated"),
    [
        (3, (1, 100), False),
        (3, (100,), True),
        (40, (5, 100), False),
        (40, (6, 100), True),
        (1, (100,), False),
    ],
)
def test_a_large_first_wave_waits_for_another_person(
    clusters: int, waves: tuple[int, ...], gated: bool
) -> None:
    state = made(waves, "none", clusters)
    assert [wave.gated for wave in state.waves] == [gated, *[False] * (len(state.waves) - 1)]
    later = goes_on(state, 60)
    assert later.waves[0].started is not gated
    assert summary(later).waves[0].state == ("approval" if gated else "running")
    if gated:
        after, _ = say(later, Verb.APPROVE, "user:bob", 61)
        assert after.waves[0].started
        assert after.status is Status.RUNNING
