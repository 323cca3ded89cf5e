"""What one decision of a rollout leaves in the store: state in parts, acts and their ends, events, records.

Called inside the decision's transaction. Decides nothing.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from controller.app.rollout_view import document
from controller.core.rollout.codec import dump_cluster, dump_head
from controller.core.rollout.messages import (
    Act,
    ClusterSeen,
    Event,
    NodeSeen,
    Observation,
    Outcome,
    Preflighted,
)
from controller.core.rollout.model import HopKind, RolloutState, Stage
from controller.store.rollouts import RolloutTurn

if TYPE_CHECKING:
    from controller.app.rollout import Driver

_KUBERNETES = (HopKind.CONTROL_PLANE, HopKind.KUBELET)
_NODE = re.compile(r"node-(.+)")


def reads_only(heard: Iterable[Observation]) -> bool:
    """Whether nothing was heard that would not be read again after a crash."""
    return all(isinstance(one, NodeSeen | ClusterSeen | Preflighted) for one in heard)


def saved(
    turn: RolloutTurn,
    driver: "Driver",
    after: RolloutState,
    heard: Sequence[Observation],
    acts: Sequence[Act],
    events: Sequence[Event],
    *,
    over: bool,
) -> None:
    for said in heard:
        if isinstance(said, Outcome):
            turn.end_act(said.key, str(said.result), said.detail)
    for act in acts:
        turn.begin_act(act.key, act.cluster, act.node, act.step, act.attempt)
    for event in events:
        turn.tell(kind_of(event), subject_of(after, event), event.text, event.data)
        _node_record(turn, driver, after, event)
    if after.failures != driver.state.failures:
        turn.failed(after.failures)
    turn.save(
        status=str(after.status),
        head=dump_head(after),
        summary=document(after),
        clusters={name: dump_cluster(cluster) for name, cluster in driver.changed(after).items()},
        over=over,
    )


def kind_of(event: Event) -> str:
    """`wave-done` → RolloutWaveDone: the store's events are named like that."""
    return "Rollout" + "".join(word.capitalize() for word in event.kind.split("-"))


def subject_of(state: RolloutState, event: Event) -> str:
    if event.subject == state.rollout:
        return f"rollout/{event.subject}"
    if event.subject in state.clusters:
        return f"cluster/{event.subject}"
    return f"node/{event.subject}"


def _node_record(turn: RolloutTurn, driver: "Driver", after: RolloutState, event: Event) -> None:
    """What the store knows of a node follows what it was seen to run at its end."""
    named = _NODE.fullmatch(event.kind)
    if named is None:
        return
    name, cluster = event.subject, str(event.data.get("cluster", ""))
    if named[1] == "started":
        driver.began(name, after.clock)
        return
    job = after.clusters[cluster].nodes[name]
    before = driver.state.clusters[cluster]
    kind = before.hops[before.hop].kind
    kubernetes = job.kubernetes if kind in _KUBERNETES else ""
    turn.node_runs(name, talos=job.talos, kubernetes=kubernetes)
    stage = Stage(named[1])
    if stage is Stage.COMMITTED:
        seconds = driver.took(name, after.clock)
        if seconds:
            turn.took(str(kind), seconds)
    turn.problem(name, event.text if stage is Stage.NEEDS_HANDS else "")
