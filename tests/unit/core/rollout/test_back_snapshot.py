"""Before control planes go back etcd is saved, once; that it gives no snapshot stops no way back."""

from dataclasses import replace

import pytest

from controller.core.quorum import MemberRead
from controller.core.rollout.messages import Act, ClusterSeen, Event, NodeView, Outcome, Result
from controller.core.rollout.model import Mode, Phase, Policy, RolloutState, Stage, Target, Timing
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.core.rollout.rollback import rollback_of
from controller.core.rollout.step import step
from tests.unit.core.rollout.gates import NOW, Open

OLD, NEW = "1.13.8", "1.13.9"


def read(at: float) -> ClusterSeen:
    names = ("cp0", "cp1", "cp2")
    views = tuple(
        NodeView(n, True, NEW, "1.35.4", "1.35.4", boot_id=f"boot-{n}", ready=True, healthy=True)
        for n in names
    )
    members = tuple(MemberRead(n, started=True) for n in names)
    return ClusterSeen("c", at, views, members, endpoints=3, leader="cp2", system_ready=True)


def going_back() -> RolloutState:
    """Three control planes that run NEW go back to OLD; the preconditions hold already."""
    nodes = tuple(Node(f"cp{i}", True, OLD, "1.35.4") for i in range(3))
    releases = Releases((OLD, NEW))
    made = create("r", Target(talos=NEW), Policy(), [Cluster("c", "s", nodes)], releases=releases).state
    cluster = made.clusters["c"]
    done = {n: replace(job, talos=NEW, stage=Stage.COMMITTED) for n, job in cluster.nodes.items()}
    made = replace(made, clusters={"c": replace(cluster, nodes=done, phase=Phase.SUCCEEDED)})
    back = rollback_of(made, "back", {"c": read(NOW)})
    cluster = replace(back.clusters["c"], phase=Phase.RUNNING)
    waves = (replace(back.waves[0], started=True),)
    policy = replace(back.policy, timing=Timing(backoff=0.001))
    return replace(back, policy=policy, waves=waves, clusters={"c": cluster}, clock=100.0, wall=NOW)


class World:
    """Reads of a cluster that is well; what was begun, and what was told."""

    def __init__(self) -> None:
        self.state, self.now = going_back(), NOW
        self.acts: list[Act] = []
        self.events: list[Event] = []

    def hear(self, *said: object) -> None:
        self.now += 1
        self.state, intents, events = step(self.state, [*said, read(self.now)], self.now, Open())  # type: ignore[list-item]
        self.acts += [each for each in intents if isinstance(each, Act)]
        self.events += events

    def end(self, result: Result, detail: str = "") -> None:
        act = self.acts[-1]
        self.hear(Outcome(act.cluster, act.node, act.key, result, detail))

    def steps(self) -> list[tuple[str, str]]:
        return [(act.node, act.step) for act in self.acts]


def test_it_is_taken_before_the_first_control_plane() -> None:
    world = World()
    world.hear()
    assert world.steps() == [("cp0", "snapshot")]
    world.end(Result.DONE)
    world.hear()
    assert world.steps() == [("cp0", "snapshot"), ("cp0", "cordon")]


@pytest.mark.parametrize("result", [Result.FAILED, Result.NOT_SENT])
def test_without_one_it_goes_on_and_says_so(result: Result) -> None:
    world = World()
    world.hear()
    for _ in range(3 if result is Result.NOT_SENT else 1):
        world.end(result, "no member gives one")
        for _ in range(3):
            world.hear()
    assert world.steps()[-1] == ("cp0", "cordon")
    told = [event for event in world.events if event.kind == "snapshot-left-out"]
    assert [event.subject for event in told] == ["cp0"]
    assert world.state.clusters["c"].nodes["cp0"].stage is not Stage.FAILED


def test_the_next_control_plane_does_not_ask_again() -> None:
    world = World()
    world.hear()
    world.end(Result.FAILED, "no member gives one")
    nodes = dict(world.state.clusters["c"].nodes)
    nodes["cp0"] = replace(nodes["cp0"], stage=Stage.COMMITTED, mode=Mode.IDLE)
    cluster = replace(world.state.clusters["c"], nodes=nodes)
    world.state = replace(world.state, clusters={"c": cluster})
    world.hear()
    assert world.steps()[-1] == ("cp1", "cordon")
