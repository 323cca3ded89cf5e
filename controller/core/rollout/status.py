"""A rollout for people: how far it is, what it waits for and why, when it may be done. Never stored."""

from dataclasses import dataclass

from controller.core.rollout.model import FINISHED, TERMINAL, ClusterJob, Phase, RolloutState, Stage, Status
from controller.core.rollout.promotion import approved, bake_seconds, needs_approval


@dataclass(frozen=True, slots=True)
class WaveStatus:
    number: int
    clusters: int
    succeeded: int
    failed: int
    cancelled: int
    state: str  # waiting, approval, running, baking, done
    bake_left: float


@dataclass(frozen=True, slots=True)
class Summary:
    rollout: str
    status: str
    why: str
    waves: tuple[WaveStatus, ...]
    waits: tuple[tuple[str, str], ...]  # (cluster or node, because)
    hands: tuple[tuple[str, str], ...]  # (node, what to do)
    nodes_done: int
    nodes: int
    seconds_left: float  # of work and bakes, windows not counted


def summary(state: RolloutState) -> Summary:
    """Everything that a status page shows."""
    jobs = [job for cluster in state.clusters.values() for job in cluster.nodes.values()]
    return Summary(
        rollout=state.rollout,
        status=str(state.status),
        why=state.why,
        waves=tuple(_wave(state, number) for number in range(len(state.waves))),
        waits=_waits(state),
        hands=tuple((job.name, job.reason) for job in jobs if job.stage is Stage.NEEDS_HANDS),
        nodes_done=sum(_through(cluster) for cluster in state.clusters.values()),
        nodes=len(jobs),
        seconds_left=_left(state),
    )


def _through(cluster: ClusterJob) -> int:
    if cluster.phase is Phase.SUCCEEDED:
        return len(cluster.nodes)
    last = cluster.hop + 1 == len(cluster.hops)
    return sum(last and job.stage is Stage.COMMITTED for job in cluster.nodes.values())


def unapproved(state: RolloutState, number: int) -> bool:
    """Whether this wave waits for approval, or for one to count."""
    wave = state.waves[number]
    return needs_approval(state.policy, number, wave) and not approved(wave, state.clock)


def _wave(state: RolloutState, number: int) -> WaveStatus:
    wave = state.waves[number]
    phases = [state.clusters[name].phase for name in wave.clusters]
    if wave.passed:
        how = "done"
    elif wave.baking:
        how = "baking"
    elif wave.started:
        how = "running"
    elif number == state.wave and unapproved(state, number):
        how = "approval"
    else:
        how = "waiting"
    return WaveStatus(
        number=number + 1,
        clusters=len(phases),
        succeeded=phases.count(Phase.SUCCEEDED),
        failed=phases.count(Phase.FAILED),
        cancelled=phases.count(Phase.CANCELLED),
        state=how,
        bake_left=0.0 if wave.passed else max(0.0, bake_seconds(state.policy, number) - wave.baked),
    )


def _waits(state: RolloutState) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for cluster in state.clusters.values():
        if cluster.phase not in (Phase.CHECKING, Phase.RUNNING):
            continue
        if cluster.waits:
            found.append((cluster.name, cluster.waits))
        found += [(n.name, n.waits) for n in cluster.nodes.values() if n.waits and n.stage not in TERMINAL]
    return tuple(found)


def _left(state: RolloutState) -> float:
    """The longest cluster of each wave still to come, one node after the other, and the bakes."""
    if state.status not in (Status.RUNNING, Status.PAUSED):
        return 0.0
    total = 0.0
    for number in range(state.wave, len(state.waves)):
        names = state.waves[number].clusters
        longest = max(_cluster_left(state, state.clusters[name]) for name in names)
        rounds = -(-len(names) // state.policy.max_parallel)
        total += longest * rounds + _wave(state, number).bake_left
    return total


def _cluster_left(state: RolloutState, cluster: ClusterJob) -> float:
    if cluster.phase in FINISHED:
        return 0.0
    hops_after = len(cluster.hops) - cluster.hop - 1
    here = sum(job.stage not in TERMINAL for job in cluster.nodes.values())
    return (here + hops_after * len(cluster.nodes)) * state.policy.timing.expected
