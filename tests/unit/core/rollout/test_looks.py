"""A cluster is not read while nothing could follow from it: reads are most of what an update costs."""

from dataclasses import replace

import pytest

from controller.core.rollout.messages import LookAtCluster
from controller.core.rollout.model import Mode, Phase, Policy, RolloutState, Stage, Target
from controller.core.rollout.planning import Cluster, Node, Releases, create
from controller.core.rollout.step import step
from tests.unit.core.rollout.gates import NOW, Open


def under_way(stages: dict[str, Stage], most: int = 1) -> RolloutState:
    """A cluster whose nodes stand like that; who is on its way soaks."""
    nodes = tuple(Node(name, name.startswith("cp"), "1.13.8", "1.35.4") for name in stages)
    releases = Releases(("1.13.8", "1.13.9"), ("1.35.4",))
    policy = Policy(max_unavailable=most, accept_downtime=True)
    state = create("r", Target(talos="1.13.9"), policy, [Cluster("c", "s", nodes)], releases=releases).state
    cluster = state.clusters["c"]
    jobs = {}
    for name, stage in stages.items():
        job = replace(cluster.nodes[name], stage=stage, source="1.13.8", since=10.0)
        if stage is Stage.SOAKING:
            job = replace(job, step="soak", mode=Mode.POLLING, deadline=900.0, asked_at=99.0, seen_clock=99.0)
        jobs[name] = replace(job, step="stage") if stage is Stage.STAGED else job
    cluster = replace(cluster, phase=Phase.RUNNING, nodes=jobs, snapshot_hop=0, asked_at=50.0)
    waves = (replace(state.waves[0], started=True), *state.waves[1:])
    return replace(state, clusters={"c": cluster}, waves=waves, clock=100.0, wall=NOW)


def read(state: RolloutState) -> bool:
    _, intents, _ = step(state, [], NOW + 5, Open())
    return any(isinstance(one, LookAtCluster) for one in intents)


STAGED, SOAKING, DONE = Stage.STAGED, Stage.SOAKING, Stage.COMMITTED


@pytest.mark.parametrize(
    ("stages", "most", "wanted"),
    [
        (
            {"cp0": SOAKING, "cp1": STAGED, "cp2": STAGED, "w0": STAGED},
            5,
            False,
        ),  # one control plane at a time
        ({"cp0": SOAKING, "w0": STAGED}, 5, False),  # and no worker beside it
        ({"cp0": DONE, "cp1": DONE, "cp2": STAGED, "w0": STAGED}, 1, True),  # the next one's turn
        ({"cp0": DONE, "w0": SOAKING, "w1": STAGED}, 1, False),  # as many workers as may be away
        ({"cp0": DONE, "w0": SOAKING, "w1": STAGED}, 2, True),
        ({"cp0": DONE, "w0": SOAKING, "w1": SOAKING, "w2": STAGED}, 2, False),
        ({"cp0": DONE, "w0": STAGED, "w1": STAGED}, 1, True),
    ],
)
def test_a_cluster_is_read_only_if_another_node_may_begin(stages, most, wanted):
    assert read(under_way(stages, most)) is wanted


def test_it_is_read_at_once_when_there_is_room_again():
    """Not at the next turn of a clock: each node would wait for it."""
    state = under_way({"cp0": DONE, "cp1": STAGED, "cp2": STAGED})
    cluster = state.clusters["c"]
    nodes = {**cluster.nodes, "cp0": replace(cluster.nodes["cp0"], since=100.0)}
    state = replace(state, clusters={"c": replace(cluster, nodes=nodes, asked_at=99.9)})
    assert read(state)
