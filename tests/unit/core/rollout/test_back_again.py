"""A rollback whose order was lost with its controller is ordered once more; one that was carried out never is."""

from dataclasses import replace

import pytest

from controller.core.quorum import MemberRead
from controller.core.rollout.messages import Act, ClusterSeen, LookAtNode, NodeSeen, NodeView, Restarted
from controller.core.rollout.model import Hop, HopKind, Mode, Phase, Policy, RolloutState, Stage, Target
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.core.rollout.step import step
from tests.unit.core.rollout.gates import NOW, Open

BACK = Hop(HopKind.BACK, "1.13.9", "1.13.8")
FORWARD = Hop(HopKind.TALOS, "1.13.8", "1.13.9")


def ordered(hop: Hop, stage: Stage, source: str) -> RolloutState:
    """`back` was ordered; nobody saw what became of it, and its time is over."""
    releases = Releases(("1.13.8", "1.13.9"), ("1.35.4",))
    policy = Policy(accept_downtime=True)
    cluster = Cluster("c", "s", (Node("cp", True, "1.13.8", "1.35.4"),))
    state = create("r", Target(talos="1.13.9"), policy, [cluster], releases=releases).state
    job = replace(
        state.clusters["c"].nodes["cp"],
        source=source,
        stage=stage,
        step="back",
        mode=Mode.POLLING,
        attempt=1,
        key="r/0/cp/back/1",
        boot_id="boot1",
        talos="1.13.9",
        since=10.0,
        deadline=99.0,
        asked_at=-1e9,
        reason="it was ill",
    )
    made = replace(state.clusters["c"], phase=Phase.RUNNING, hops=(hop,), nodes={"cp": job}, snapshot_hop=0)
    waves = (replace(state.waves[0], started=True), *state.waves[1:])
    return replace(state, clusters={"c": made}, waves=waves, clock=100.0, wall=NOW, remedy=hop is BACK)


def view(talos: str, boot: str, *, healthy: bool = True) -> NodeView:
    return NodeView("cp", True, talos, "1.35.4", "1.35.4", boot_id=boot, ready=healthy, healthy=healthy)


def read(at: float, seen: NodeView) -> ClusterSeen:
    members = (MemberRead("cp", started=True),)
    return ClusterSeen("c", at, (seen,), members, endpoints=1, leader="cp", system_ready=True)


def after_a_restart(state: RolloutState, seen: NodeView) -> tuple[RolloutState, list[Act]]:
    """The new controller looks at the node until its time is over, and then at the cluster as often as it asks to."""
    found: list[Act] = []
    state, intents, _ = step(state, [Restarted()], NOW + 1, Open())
    assert LookAtNode("c", "cp") in intents
    for second in range(2, 200):
        now = NOW + second
        state, intents, _ = step(state, [NodeSeen("c", now, seen), read(now, seen)], now, Open())
        found += [one for one in intents if isinstance(one, Act)]
    return state, found


@pytest.mark.parametrize(
    ("hop", "stage", "source"),
    [(BACK, Stage.REBOOTING, "1.13.9"), (FORWARD, Stage.ROLLING_BACK, "1.13.8")],
    ids=["a rollback", "a node that is ill"],
)
def test_an_order_that_never_arrived_is_given_again(hop, stage, source):
    """The node answers, from the boot that it had then, with the version that it should leave."""
    state, acts = after_a_restart(ordered(hop, stage, source), view("1.13.9", "boot1", healthy=hop is BACK))
    assert [(act.step, act.attempt) for act in acts][:1] == [("back", 2)]
    assert state.clusters["c"].nodes["cp"].stage is not Stage.NEEDS_HANDS or len(acts) > 1


def test_one_that_went_back_by_itself_and_is_ill_is_not_told_again():
    """Rollback leads to the other system, whichever that is: it would lead forward."""
    state = ordered(FORWARD, Stage.ROLLING_BACK, "1.13.8")
    after, acts = after_a_restart(state, view("1.13.8", "boot1", healthy=False))
    assert acts == []
    assert after.clusters["c"].nodes["cp"].stage is Stage.NEEDS_HANDS
