"""A node that was chosen and to which nothing was done yet: to go on with it is to begin it, with all that asks."""

from dataclasses import replace

import pytest

from controller.core.quorum import MemberRead
from controller.core.rollout.messages import (
    Act,
    Admission,
    ClusterSeen,
    Command,
    LookAtCluster,
    NodeView,
    Outcome,
    Probed,
    Restarted,
    Result,
    Verb,
    Verdict,
)
from controller.core.rollout.model import Mode, Phase, Policy, RolloutState, Stage, Status, Target, Timing
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.core.rollout.step import settled, step
from tests.unit.core.rollout.gates import NOW, Open

KEY = "r/0/{}/{}/1"


class Closed(Open):
    def admits(self, site: str, now: float, seconds: float) -> Admission:
        return Admission(False, "outside its windows")


class Frozen(Open):
    def frozen(self) -> str:
        return "frozen by ada"


def chosen(target: Target, step_: str, **more: object) -> RolloutState:
    """Three control planes, the first of which was chosen; `step_` was begun, and the controller went away."""
    nodes = tuple(Node(f"cp{i}", True, "1.13.8", "1.35.4") for i in range(3))
    policy = Policy(timing=Timing(guard_wait=400))
    releases = Releases(("1.13.8", "1.13.9"), ("1.35.4", "1.36.1"))
    state = create("r", target, policy, [Cluster("c", "s", nodes)], releases=releases).state
    cluster = state.clusters["c"]
    job = replace(
        cluster.nodes["cp0"],
        source="1.13.8" if target.talos else "1.35.4",
        stage=Stage.INSTALLING if step_ == "patch" else Stage.GUARDED,
        step=step_,
        mode=Mode.ACTING,
        attempt=1,
        key=KEY.format("cp0", step_),
        since=90.0,
        deadline=700.0,
        until=NOW + 10,
        cordoned=step_ == "cordon",
    )
    others = {n: replace(j, stage=Stage.STAGED, step="stage") for n, j in cluster.nodes.items()}
    others = others if target.talos else dict(cluster.nodes)
    saved = 0 if step_ in ("patch", "cordon") else -1
    cluster = replace(
        cluster, phase=Phase.RUNNING, nodes={**others, "cp0": replace(job, **more)}, snapshot_hop=saved
    )
    waves = (replace(state.waves[0], started=True), *state.waves[1:])
    return replace(state, clusters={"c": cluster}, waves=waves, clock=100.0, wall=NOW)


def read(at: float, holder: str = "") -> ClusterSeen:
    views = tuple(
        NodeView(
            f"cp{i}",
            True,
            "1.13.8",
            "1.35.4",
            "1.35.4",
            boot_id=f"boot{i}",
            ready=True,
            healthy=True,
        )
        for i in range(3)
    )
    members = tuple(MemberRead(f"cp{i}", started=True) for i in range(3))
    return ClusterSeen("c", at, views, members, endpoints=3, leader="cp2", system_ready=True, holder=holder)


def acts(intents: object) -> list[tuple[str, int]]:
    return [(a.step, a.attempt) for a in intents if isinstance(a, Act) and a.step != "stage"]  # type: ignore[attr-defined]


TALOS, KUBERNETES = Target(talos="1.13.9"), Target(kubernetes="1.36.1")
TRIED = [(TALOS, "snapshot"), (TALOS, "cordon"), (KUBERNETES, "snapshot"), (KUBERNETES, "patch")]


def lost(target: Target, step_: str, gates: Open) -> RolloutState:
    """An hour passed, and what was begun turns out not to have happened."""
    state = chosen(target, step_)
    after, _, _ = step(state, [Restarted()], NOW + 3600, gates)
    found = Probed("c", "cp0", KEY.format("cp0", step_), Verdict.NOT_DONE)
    after, intents, _ = step(after, [found], NOW + 3601, gates)
    assert acts(intents) == []
    return after


@pytest.mark.parametrize("gates", [Closed(), Frozen()])
@pytest.mark.parametrize(("target", "step_"), TRIED)
def test_it_waits_for_an_open_window_however_long(target: Target, step_: str, gates: Open) -> None:
    after = lost(target, step_, gates)
    for minute in range(1, 120):
        now = NOW + 3601 + 60 * minute
        after, intents, _ = step(after, [read(now)], now, gates)
        assert acts(intents) == []
    assert after.clusters["c"].nodes["cp0"].stage is Stage.GUARDED
    now = NOW + 20000
    after, intents, _ = step(after, [read(now)], now, Open())
    assert acts(intents) == [(step_, 2)]
    assert after.clusters["c"].nodes["cp0"].until == now + 3600  # of this window


@pytest.mark.parametrize(("target", "step_"), TRIED)
def test_somebody_else_may_hold_the_lease_by_now(target: Target, step_: str) -> None:
    after = lost(target, step_, Open())
    after, intents, _ = step(after, [read(NOW + 3650, holder="another controller")], NOW + 3650, Open())
    assert acts(intents) == []
    assert "another controller" in after.clusters["c"].nodes["cp0"].waits
    _, intents, _ = step(after, [read(NOW + 3660)], NOW + 3660, Open())
    assert acts(intents) == [(step_, 2)]


@pytest.mark.parametrize(("target", "step_"), TRIED)
def test_nothing_is_begun_without_a_fresh_read(target: Target, step_: str) -> None:
    after = lost(target, step_, Open())
    _, intents, _ = step(after, [], NOW + 3650, Open())
    assert acts(intents) == []
    assert [i for i in intents if isinstance(i, LookAtCluster)]


@pytest.mark.parametrize(("target", "step_"), TRIED)
def test_a_rollout_that_stopped_begins_it_no_more(target: Target, step_: str) -> None:
    after = replace(lost(target, step_, Open()), status=Status.STOPPED, why="1 of 1 failed")
    after, intents, _ = step(after, [read(NOW + 3650)], NOW + 3650, Open())
    assert acts(intents) == ([("uncordon", 1)] if step_ == "cordon" else [])  # it may be cordoned after all
    if step_ == "cordon":
        gone = Outcome("c", "cp0", KEY.format("cp0", "uncordon"), Result.DONE)
        after, _, _ = step(after, [gone], NOW + 3651, Open())
    assert after.clusters["c"].nodes["cp0"].stage is Stage.CANCELLED
    assert settled(after)


@pytest.mark.parametrize(("target", "step_"), TRIED)
def test_a_pause_holds_it(target: Target, step_: str) -> None:
    after = lost(target, step_, Open())
    said = Command("1", Verb.PAUSE, "ada", "lunch")
    after, intents, _ = step(after, [said, read(NOW + 3650)], NOW + 3650, Open())
    assert acts(intents) == []
    said = Command("2", Verb.RESUME, "ada", "back")
    _, intents, _ = step(after, [said, read(NOW + 3660)], NOW + 3660, Open())
    assert acts(intents) == [(step_, 2)]


@pytest.mark.parametrize(("target", "following"), [(TALOS, "cordon"), (KUBERNETES, "patch")])
def test_a_snapshot_alone_begins_no_node(target: Target, following: str) -> None:
    """It ended when the window had closed: the node itself is begun in the next one."""
    state = chosen(target, "snapshot")
    done = Outcome("c", "cp0", KEY.format("cp0", "snapshot"), Result.DONE)
    after, intents, _ = step(state, [done, read(NOW + 60)], NOW + 60, Closed())
    assert acts(intents) == []
    after, intents, _ = step(after, [read(NOW + 4000)], NOW + 4000, Open())
    assert acts(intents) == [(following, 1)]


def test_a_patch_that_happened_is_finished_outside_the_window() -> None:
    after, _, _ = step(chosen(KUBERNETES, "patch"), [Restarted()], NOW + 3600, Closed())
    found = Probed("c", "cp0", KEY.format("cp0", "patch"), Verdict.DONE)
    after, _, _ = step(after, [found], NOW + 3601, Closed())
    assert after.clusters["c"].nodes["cp0"].stage is Stage.VERIFYING


def test_an_image_is_not_fetched_again_in_a_pause() -> None:
    state = chosen(TALOS, "snapshot")
    nodes = dict(state.clusters["c"].nodes)
    nodes["cp1"] = replace(
        nodes["cp1"],
        stage=Stage.PLANNED,
        step="stage",
        mode=Mode.BACKOFF,
        attempt=1,
        retry_at=90.0,
        key=KEY.format("cp1", "stage"),
    )
    paused = replace(state, status=Status.PAUSED, clusters={"c": replace(state.clusters["c"], nodes=nodes)})
    _, intents, _ = step(paused, [], NOW + 10, Open())
    assert [i for i in intents if isinstance(i, Act)] == []
    _, intents, _ = step(replace(paused, status=Status.RUNNING), [], NOW + 10, Open())
    assert [(i.node, i.step, i.attempt) for i in intents if isinstance(i, Act)] == [("cp1", "stage", 2)]
