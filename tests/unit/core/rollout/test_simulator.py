"""Whole fleets against the invariants; that the simulator sees planted bugs; kills at every point."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.core import quorum
from controller.core.rollout import budget, choice, cluster, deadline, health, node, promotion, step, turn
from controller.core.rollout.codec import dump, load
from controller.core.rollout.model import Mode, Phase, Policy, Stage, Status, Target
from controller.core.rollout.planning import Cluster, Node, create, rollback_of
from controller.core.rollout.status import summary
from controller.core.simulate.invariants import Broken
from controller.core.simulate.rehearse import faults, rehearse, text
from controller.core.simulate.runner import Runner
from controller.core.simulate.scenario import QUICK, RELEASES, Faults, Ill, Scenario, draw
from inventory.errors import RefusedError, StoreError

POLICY = Policy(bake_seconds=(300, 60), timing=QUICK)


def trio(name: str = "c0", workers: int = 1, version: str = "1.12.11") -> Cluster:
    planes = tuple(Node(f"{name}-cp{i}", True, version, "1.33.6", "old") for i in range(3))
    rest = tuple(Node(f"{name}-w{i}", False, version, "1.33.6", "old") for i in range(workers))
    return Cluster(name, f"site-{name}", (*planes, *rest))


def one(**more: Any) -> Scenario:
    base = Scenario(1, Target(talos="1.13.9"), POLICY, (trio(),), RELEASES, Faults())
    return replace(base, **more)


@pytest.mark.parametrize("start", range(0, 100, 20))
def test_fleets_hold_every_invariant(start: int) -> None:
    for seed in range(start, start + 20):
        Runner(draw(seed, max_nodes=30)).run()


def test_a_seed_gives_the_same_run_twice() -> None:
    first, second = (Runner(draw(8, max_nodes=30)).run() for _ in range(2))
    assert first.lines == second.lines
    assert dump(first.state) == dump(second.state)


def test_the_controller_may_die_at_every_point() -> None:
    """Each step once, at one of its three points in turn; the long run of the simulator has the rest."""
    small = one(clusters=(trio(workers=0),), policy=replace(POLICY, bake_seconds=(60,)))
    calm = Runner(replace(small, faults=Faults(kill_at=(10**9, 0)))).run()
    assert calm.state.status is Status.SUCCEEDED
    for number in range(1, calm.steps + 1):
        scenario = replace(small, faults=Faults(kill_at=(number, number % 3), down=(20.0,)))
        report = Runner(scenario).run()
        assert report.kills == 1
        assert report.state.status is Status.SUCCEEDED, (number, report.state.why)


@pytest.mark.parametrize(
    ("ill", "stage"),
    [
        (Ill.COMES_BACK_OLD, Stage.ROLLED_BACK),
        (Ill.COMES_BACK_BAD, Stage.ROLLED_BACK),
        (Ill.FLAPS, Stage.ROLLED_BACK),
        (Ill.NEVER_RETURNS, Stage.NEEDS_HANDS),
        (Ill.DRAIN_HANGS, Stage.FAILED),
        (Ill.INSTALL_FAILS, Stage.FAILED),
        (Ill.RESTARTS_BY_ITSELF, Stage.COMMITTED),
    ],
)
@pytest.mark.parametrize("version", ["1.12.11", "1.13.1"])
def test_verdicts(ill: Ill, stage: Stage, version: str) -> None:
    scenario = one(clusters=(trio(version=version),), faults=Faults(ill={"c0-cp1": ill}))
    state = Runner(scenario).run().state
    job = state.clusters["c0"].nodes["c0-cp1"]
    assert job.stage is stage, job.reason
    assert (state.status is Status.SUCCEEDED) is (stage is Stage.COMMITTED)
    if stage is Stage.NEEDS_HANDS:
        assert "console" in job.reason
        assert summary(state).hands[0][0] == "c0-cp1"


# Planted bugs: each must be seen within a few seeds.


def _guard_ignores_cordons(*args: Any, **more: Any) -> str:
    reading = args[1]
    members = [replace(m, busy=False) for m in reading.members]
    return quorum.guard(args[0], replace(reading, members=members), **more)


def _never_stops(*_: Any, **__: Any) -> str:
    return ""


def _impatient_reboot(way: Any, job: Any) -> Any:
    soon = job.step in ("reboot", "upgrade") and job.mode is Mode.POLLING
    return (
        node.again(way, job, "impatient")
        if soon and way.turn.clock > job.since + 40
        else deadline.expire(way, job)
    )


def _counts_downtime(state: Any, now: float) -> tuple[float, float]:
    clock, _ = turn.clocks(state, now)
    return clock, max(0.0, now - state.wall) if state.wall else 0.0


def _shrinks(policy: Policy, wave: int, counted: budget.Count) -> str:
    size = counted.succeeded + counted.failed
    return budget.exceeded(policy, wave, replace(counted, size=size)) if size else ""


def _two_planes(way: Any, cluster_: Any, ready: Any, seen: Any) -> Any:
    planes = [n for n in ready if n.control_plane]
    return (planes[0], "") if planes else ORIGINAL_CANDIDATE(way, cluster_, ready, seen)


ORIGINAL_CANDIDATE = choice._candidate
ALWAYS_OPEN = type("Open", (), {"ok": True, "reason": "", "until": 0.0, "opens": 0.0})()
BUGS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "the guard ignores cordons": (choice, "guard", _guard_ignores_cordons),
    "the guard says yes": (choice, "guard", _never_stops),
    "no failure stops": (promotion, "exceeded", _never_stops),
    "finished clusters only are the size": (promotion, "exceeded", _shrinks),
    "a second reboot before the deadline": (cluster, "expire", _impatient_reboot),
    "bake counts downtime": (step, "clocks", _counts_downtime),
    "red does not matter": (health, "trouble", _never_stops),
    "a doubt is not looked up": (node, "doubt", node.done),
    "no bake": (promotion, "bake_seconds", lambda *_: 0),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_seen(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, broken = BUGS[bug]
    monkeypatch.setattr(module, name, broken)
    if module is node:
        for user in (cluster, deadline):
            monkeypatch.setattr(user, name, broken)
    for seed in range(2000, 2400):
        try:
            Runner(draw(seed, max_nodes=40)).run(limit=2 * 86400)
        except Broken as error:
            if error.invariant != "I7" and f"--seed {seed}" in str(error):
                return
    pytest.fail(f"{bug}: not seen in 400 fleets")


def test_the_guard_alone_keeps_a_second_control_plane_from_going(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one chosen while another is under way, nothing would come of it: two locks hold that door."""
    monkeypatch.setattr(choice, "_candidate", _two_planes)
    seen = []
    for seed in range(2000, 2030):
        try:
            Runner(draw(seed, max_nodes=30)).run(limit=2 * 86400)
        except Broken as error:
            seen.append(error.invariant)
    assert "I3" not in seen


def test_state_round_trip_and_refusal() -> None:
    state = Runner(one(faults=Faults(ill={"c0-w0": Ill.COMES_BACK_BAD}))).run().state
    assert load(dump(state)) == state
    for damaged in (
        "",
        "{}",
        '{"version":9,"state":{}}',
        dump(state)[:-9],
        dump(state).replace("1.13.9", "")[3:],
    ):
        with pytest.raises(StoreError):
            load(damaged)


def test_rollback_is_a_new_rollout_over_the_last_hop() -> None:
    state = Runner(one(clusters=(trio("c0"), trio("c1"), trio("c2")))).run().state
    back = rollback_of(state, "back")
    assert [len(w.clusters) for w in back.waves] == [1, 2]
    assert {h.version for c in back.clusters.values() for h in c.hops} == {"1.12.11"}
    with pytest.raises(RefusedError):
        rollback_of(create("x", Target(talos="1.13.9"), POLICY, (trio(),), releases=RELEASES).state, "y")


def test_members_that_cannot_take_part_are_left_out_with_a_reason() -> None:
    two = Cluster("two", "s", trio().nodes[:2])
    single = Cluster("single", "s", trio("x").nodes[:1])
    done = trio("done", version="1.13.9")
    ill = trio("ill")
    planned = create(
        "r",
        Target(talos="1.13.9"),
        POLICY,
        (two, single, done, ill, trio("c")),
        releases=RELEASES,
        failures={"ill-cp0 1.13.9": 2},
    )
    assert set(planned.state.clusters) == {"c"}
    assert "2 members" in planned.left_out["two"]
    assert "downtime" in planned.left_out["single"]
    assert "already" in planned.left_out["done"]
    assert "quarantined" in planned.left_out["ill"]


def test_rehearsal_shows_where_it_stops() -> None:
    clusters = [trio(f"c{i}") for i in range(4)]
    first = (
        create("r", Target(talos="1.13.9"), POLICY, clusters, releases=RELEASES).state.waves[0].clusters[0]
    )
    stated = faults([f"{first}-w0=never-returns", "loss=5"])
    shown = rehearse(Target(talos="1.13.9"), POLICY, clusters, RELEASES, stated)
    assert shown.status == "stopped"
    assert shown == rehearse(Target(talos="1.13.9"), POLICY, clusters, RELEASES, stated)
    assert "stopped: " in text(shown)
    with pytest.raises(RefusedError):
        faults(["x=explodes"])


def test_nothing_is_begun_in_a_cluster_that_was_not_reached() -> None:
    state = (
        Runner(
            one(
                clusters=(trio("c0"), trio("c1")),
                faults=Faults(ill={"c0-cp0": Ill.INSTALL_FAILS, "c1-cp0": Ill.INSTALL_FAILS}),
            )
        )
        .run()
        .state
    )
    assert state.status is Status.STOPPED
    assert sorted(c.phase for c in state.clusters.values()) == [Phase.FAILED, Phase.PENDING]
