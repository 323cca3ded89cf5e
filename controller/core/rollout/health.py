"""Finished clusters are looked at again while the rollout goes on: a late failure counts. Pure."""

from collections.abc import Sequence

from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import ClusterSeen, LookAtCluster, Observation
from controller.core.rollout.model import ClusterJob, Phase
from controller.core.rollout.turn import Turn, grid

STALE = 4  # intervals without a read: its health is not known


def trouble(seen: ClusterSeen) -> str:
    """What is not as it should be; empty = green."""
    for view in seen.nodes:
        if not (view.reachable and view.ready and view.healthy):
            return f"{view.name}: {view.problem or 'not healthy'}"
    for member in seen.members:
        if member.problem and not member.busy:
            return f"{member.name} {member.problem}"
    if not seen.system_ready:
        return "pods of kube-system are not ready"
    return seen.problem


def watch(turn: Turn, cluster: ClusterJob, observations: Sequence[Observation]) -> ClusterJob:
    """One look at a cluster that is through."""
    for said in observations:
        if isinstance(said, ClusterSeen) and cluster.seen_at <= said.at <= turn.now + 1:
            cluster = replace(cluster, seen_at=said.at)
            cluster = _judge(turn, cluster, trouble(said))
    if cluster.phase is not Phase.SUCCEEDED:
        return cluster
    if turn.clock < cluster.due and turn.clock - cluster.asked_at < turn.timing.health:
        return cluster
    turn.intents.append(LookAtCluster(cluster.name, "health"))
    return replace(cluster, asked_at=turn.clock, due=grid(turn.clock, turn.timing.health))


def _judge(turn: Turn, cluster: ClusterJob, problem: str) -> ClusterJob:
    """Red adds up: what comes and goes is not well either."""
    last = max(cluster.red_since, cluster.last_green)
    ill = cluster.ill + (turn.clock - last if cluster.red and last >= 0 else 0.0)
    if not problem:
        return replace(cluster, last_green=turn.clock, red="", red_since=-1.0, ill=ill)
    if not cluster.red:
        turn.tell("cluster-red", cluster.name, problem)
    if ill < turn.timing.late_failure:
        return replace(cluster, red=problem, red_since=turn.clock, ill=ill)
    turn.dirty = True
    turn.tell("cluster-failed", cluster.name, f"after it was done: {problem}")
    return replace(cluster, phase=Phase.FAILED, outcome="late", reason=problem)
