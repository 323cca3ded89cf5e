"""What the plan decides, from values alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.plan import Change, NodeInputs, Refusal, assemble, judge, plan_cluster, plan_node
from inventory.lifecycle import (
    CLUSTER_TRANSITIONS,
    INSTALL_PATH,
    NODE_TRANSITIONS,
    ClusterState,
    NodeState,
    advance,
    remaining,
)


def inputs(**changes: object) -> NodeInputs:
    base: dict[str, object] = {
        "name": "n",
        "site": "s",
        "cluster": "c",
        "role": "controlplane",
        "state": NodeState.PINNED,
        "pinned": True,
    }
    return NodeInputs(**{**base, **changes})  # type: ignore[arg-type]


def test_nothing_without_a_pin() -> None:
    plan = plan_node(inputs(pinned=False, state=NodeState.DECLARED))
    assert plan.change is Change.REFUSED
    assert "--confirm-words" in plan.refusals[0].fix


def test_install_has_the_whole_path() -> None:
    plan = plan_node(inputs())
    assert plan.change is Change.INSTALL
    assert [s.step for s in plan.steps] == [t.step for t in INSTALL_PATH]


@pytest.mark.parametrize("state", [t.target for t in INSTALL_PATH[1:-1]])
def test_resume_has_only_what_is_left(state: str) -> None:
    plan = plan_node(inputs(state=NodeState(state)))
    assert plan.change is Change.RESUME
    assert [s.step for s in plan.steps] == [t.step for t in remaining(NodeState(state))]


def test_ready_and_equal_is_nothing() -> None:
    plan = plan_node(inputs(state=NodeState.READY, applied_digest="a", wanted_digest="a"))
    assert (plan.change, plan.steps, plan.disk) == (Change.NOTHING, (), None)


def test_ready_and_different_is_reconfigured() -> None:
    plan = plan_node(inputs(state=NodeState.READY, applied_digest="a", wanted_digest="b"))
    assert [s.step for s in plan.steps] == ["reconfigure", "verify"]


def test_another_version_is_a_note_not_an_act() -> None:
    plan = plan_node(
        inputs(
            state=NodeState.READY,
            applied_digest="a",
            wanted_digest="a",
            talos="1.14.0",
            installed_talos="1.13.9",
        )
    )
    assert plan.change is Change.NOTHING
    assert "rollout" in plan.notes[0]


def test_refusal_stops_everything() -> None:
    plan = plan_node(inputs(refusals=(Refusal("it has one disk, full of data", "say wipe: true"),)))
    assert (plan.change, plan.steps) == (Change.REFUSED, ())


def cluster(state: ClusterState, *members: NodeInputs) -> list[str]:
    found = plan_cluster(
        "c",
        site="s",
        state=state,
        endpoint="https://e:6443",
        kubernetes="1.36.3",
        members=[plan_node(m) for m in members],
    )
    return [s.step for s in found.steps]


def test_a_ready_cluster_is_verified_again_only_if_it_changes() -> None:
    idle = inputs(state=NodeState.READY, applied_digest="a", wanted_digest="a")
    assert cluster(ClusterState.READY, idle) == []
    assert cluster(ClusterState.READY, idle, inputs(name="w", role="worker")) == ["verify-cluster"]


def test_a_new_cluster_goes_all_the_way() -> None:
    assert cluster(ClusterState.PLANNED, inputs()) == [t.step for t in CLUSTER_TRANSITIONS]


def test_no_control_plane_no_cluster() -> None:
    assert cluster(ClusterState.PLANNED, inputs(pinned=False)) == []


def test_digest_follows_what_decides() -> None:
    one = plan_node(inputs(wanted_digest="a"))
    assert assemble([one], []).digest == assemble([one], []).digest
    assert assemble([one], []).digest != assemble([plan_node(inputs(wanted_digest="b"))], []).digest


def test_one_failure_is_never_done() -> None:
    assert judge(done=3, failed={}).state == "done"
    assert judge(done=3, failed={"node/x": "why"}).state == "partly"
    assert judge(done=0, failed={"node/x": "why"}).state == "failed"


@given(st.sampled_from(NodeState))
def test_the_path_leads_to_ready(state: NodeState) -> None:
    for transition in remaining(state):
        state = advance(state, transition.step)
    assert state in (NodeState.READY, NodeState.RESET, NodeState.DECLARED)


def test_no_pair_twice() -> None:
    pairs = [(t.source, t.step) for t in NODE_TRANSITIONS]
    assert len(pairs) == len(set(pairs))


def test_the_way_can_end_before_the_image() -> None:
    assert [t.step for t in remaining(NodeState.PINNED, until=NodeState.PREPARED)] == ["inspect", "prepare"]
    assert [t.step for t in remaining(NodeState.INSPECTED, until=NodeState.PREPARED)] == ["prepare"]
    for state in (NodeState.PREPARED, NodeState.IMAGED, NodeState.READY, NodeState.RESET):
        assert remaining(state, until=NodeState.PREPARED) == ()
