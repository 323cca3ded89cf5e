"""One cluster's part in a rollout: its preconditions, its nodes on their way, its hops, its end. Pure.

Which node may go next is decided in `choice`, what follows on one node in `node` and `deadline`.
"""

from collections.abc import Sequence

from controller.core.quorum import FRESH_SECONDS
from controller.core.rollout.choice import full, proceed, start, troubled
from controller.core.rollout.deadline import expire, read
from controller.core.rollout.evolve import replace
from controller.core.rollout.hops import enter_hop
from controller.core.rollout.messages import (
    ClusterSeen,
    LookAtCluster,
    NodeSeen,
    Observation,
    Outcome,
    Preflight,
    Preflighted,
    Probed,
    Restarted,
    Result,
    Verdict,
)
from controller.core.rollout.model import (
    TERMINAL,
    WAITING,
    ClusterJob,
    Mode,
    NodeJob,
    Phase,
    Stage,
)
from controller.core.rollout.node import (
    CLOSED,
    REPLY_SLACK,
    Way,
    active,
    answered,
    begin,
    doubt,
    gated,
    once_more,
    probed,
)
from controller.core.rollout.routes import following
from controller.core.rollout.shown import seen
from controller.core.rollout.turn import Turn, grid
from inventory.wording import count as number_of

STAGED_AT_ONCE = 4
PREFLIGHT_INTERVAL = 60.0
WINDOW_INTERVAL = 30.0
_WORST = (Stage.NEEDS_HANDS, Stage.ROLLED_BACK, Stage.FAILED)

Nodes = dict[str, NodeJob]


def fresh(turn: Turn, observations: Sequence[Observation]) -> ClusterSeen | None:
    """The newest read of the cluster that is young enough to decide by."""
    reads = [o for o in observations if isinstance(o, ClusterSeen) and 0 <= turn.now - o.at <= FRESH_SECONDS]
    return max(reads, key=lambda o: o.at) if reads else None


def advance(turn: Turn, cluster: ClusterJob, observations: Sequence[Observation]) -> ClusterJob:
    """Everything that follows for a cluster that was begun and is not finished."""
    if cluster.phase is Phase.CHECKING:
        cluster = _check(turn, cluster, observations)
    if cluster.phase is not Phase.RUNNING:
        return cluster
    way = Way(turn, cluster.name, cluster.hops[cluster.hop], cluster.hop, cluster.site)
    nodes: Nodes = dict(cluster.nodes)
    cluster = replace(cluster, nodes=nodes)
    cluster = _hear(way, cluster, nodes, observations)
    for name, job in nodes.items():
        if job.mode is not Mode.IDLE or active(job):
            nodes[name] = expire(way, job)
    _stage(way, nodes)
    sight = fresh(turn, observations)
    if sight is not None:
        _proceed(way, cluster, nodes, sight)
    cluster = _start(way, cluster, nodes, sight)
    cluster = _close(way, cluster, nodes)
    if cluster.phase is not Phase.RUNNING or cluster.nodes is not nodes:
        return cluster
    for name, job in nodes.items():
        if job.mode is not Mode.IDLE:
            nodes[name] = read(way, job)
    return _next(way, cluster, nodes)


def _check(turn: Turn, cluster: ClusterJob, observations: Sequence[Observation]) -> ClusterJob:
    """The preconditions, looked up again right before the start."""
    if turn.aborting:
        turn.dirty = True
        return replace(cluster, phase=Phase.CANCELLED, reason="the rollout was aborted")
    for said in observations:
        if isinstance(said, Preflighted):
            if not said.problems and turn.running and not turn.frozen:
                return _begin(turn, cluster)
            cluster = replace(cluster, waits="; ".join(said.problems))
            cluster = blocked(turn, cluster, "precondition", PREFLIGHT_INTERVAL, turn.timing.preflight)
            if cluster.phase is Phase.FAILED:
                return cluster
    if turn.clock - cluster.asked_at >= PREFLIGHT_INTERVAL:
        turn.intents.append(Preflight(cluster.name))
        cluster = replace(cluster, asked_at=turn.clock)
    return replace(cluster, due=cluster.asked_at + PREFLIGHT_INTERVAL)


def blocked(turn: Turn, cluster: ClusterJob, outcome: str, interval: float, limit: float) -> ClusterJob:
    """One more refusal of a start. After hours of nothing else the cluster has failed."""
    passed = turn.clock - cluster.blocked_at
    total = cluster.blocked + (passed if passed <= 4 * interval else 0.0)
    if total < limit:
        return replace(cluster, blocked=total, blocked_at=turn.clock)
    turn.dirty = True
    turn.tell("cluster-failed", cluster.name, cluster.waits)
    return replace(cluster, phase=Phase.FAILED, outcome=outcome, reason=cluster.waits, waits="")


def _begin(turn: Turn, cluster: ClusterJob) -> ClusterJob:
    turn.tell("cluster-started", cluster.name, f"with {number_of(len(cluster.nodes), 'node')}")
    cluster = replace(cluster, phase=Phase.RUNNING, since=turn.clock, asked_at=-1e9, waits="", blocked=0.0)
    return enter_hop(cluster)


def _hear(way: Way, cluster: ClusterJob, nodes: Nodes, observations: Sequence[Observation]) -> ClusterJob:
    for said in observations:
        if isinstance(said, Restarted):
            for name, job in nodes.items():
                if job.mode is Mode.ACTING:
                    nodes[name] = doubt(way, job)
                elif job.mode in (Mode.POLLING, Mode.PROBING):
                    nodes[name] = once_more(way, job)
            cluster = replace(cluster, asked_at=-1e9)
        elif isinstance(said, Outcome | Probed | NodeSeen):
            name = said.view.name if isinstance(said, NodeSeen) else said.node
            known = nodes.get(name)
            if known is None or known.stage in TERMINAL:
                continue
            nodes[name] = _one(way, known, said)
            if known.step == "snapshot" and _saved(known, said):
                cluster = replace(cluster, snapshot_hop=way.number)
    return cluster


def _one(way: Way, job: NodeJob, said: Outcome | Probed | NodeSeen) -> NodeJob:
    if isinstance(said, Outcome):
        return answered(way, job, said)
    if isinstance(said, Probed):
        return probed(way, job, said)
    return seen(way, job, said.view, said.at)


def _saved(job: NodeJob, said: Outcome | Probed | NodeSeen) -> bool:
    if isinstance(said, Outcome):
        return said.key == job.key and said.result is Result.DONE
    return isinstance(said, Probed) and said.key == job.key and said.verdict is Verdict.DONE


def _stage(way: Way, nodes: Nodes) -> None:
    """Images are fetched ahead, in or out of a window; a few nodes at a time."""
    turn = way.turn
    if not turn.running or turn.frozen or any(troubled(n) for n in nodes.values()):
        return
    room = STAGED_AT_ONCE - sum(n.step == "stage" and n.mode is not Mode.IDLE for n in nodes.values())
    for name, job in nodes.items():
        if room <= 0:
            return
        if job.stage is Stage.PLANNED and job.mode is Mode.IDLE and not job.step:
            if following(way.hop.kind, "") != "stage":
                return
            nodes[name] = begin(way, job, "stage")
            room -= 1


def _proceed(way: Way, cluster: ClusterJob, nodes: Nodes, sight: ClusterSeen) -> None:
    views = {view.name: view for view in sight.nodes}
    for name, job in nodes.items():
        if active(job) and name in views and gated(way, job):
            nodes[name] = proceed(way, cluster, job, sight, views[name])


def startable(way: Way, nodes: Nodes) -> bool:
    turn = way.turn
    if not turn.running or turn.frozen or any(troubled(n) for n in nodes.values()):
        return False
    first = following(way.hop.kind, "") == "stage"
    return any(n.stage is Stage.STAGED or (n.stage is Stage.PLANNED and not first) for n in nodes.values())


def _start(way: Way, cluster: ClusterJob, nodes: Nodes, sight: ClusterSeen | None) -> ClusterJob:
    """Begins as many nodes as may be begun now."""
    if not startable(way, nodes):
        return cluster if cluster.waits == way.turn.frozen else replace(cluster, waits=way.turn.frozen)
    admission = way.turn.gates.admits(cluster.site, way.turn.now, way.turn.timing.expected)
    if not admission.ok:
        return replace(cluster, waits=f"{CLOSED}{admission.reason or 'closed'}", blocked_at=-1e9)
    if sight is None:
        return replace(cluster, waits="") if cluster.waits.startswith(CLOSED) else cluster
    while True:
        begun, why = start(way, cluster, sight, admission)
        if begun is None:
            break
        nodes[begun.name] = begun
        cluster = replace(cluster, blocked=0.0, waits="")
        if not startable(way, nodes):
            return cluster
    cluster = replace(cluster, waits=why)
    if any(active(n) for n in nodes.values()):
        return replace(cluster, blocked=0.0)
    return blocked(way.turn, cluster, "blocked", way.turn.timing.health, way.turn.timing.blocked)


def _close(way: Way, cluster: ClusterJob, nodes: Nodes) -> ClusterJob:
    """The hop's end, or the cluster's."""
    turn = way.turn
    trouble = [n for n in nodes.values() if troubled(n)]
    if any(active(n) for n in nodes.values()) and cluster.phase is Phase.RUNNING:
        return cluster
    if trouble or turn.aborting or cluster.phase is Phase.FAILED:
        why = "its cluster stopped" if trouble or not turn.aborting else "the rollout was aborted"
        for name, job in nodes.items():
            if job.stage in WAITING:
                nodes[name] = replace(job, stage=Stage.CANCELLED, mode=Mode.IDLE, reason=why, waits="")
        return _end(way, cluster, nodes)
    if all(n.stage is Stage.COMMITTED for n in nodes.values()):
        if cluster.hop + 1 < len(cluster.hops):
            turn.tell("hop-done", cluster.name, f"all nodes run {way.hop.version}")
            turn.dirty = True
            return enter_hop(replace(cluster, hop=cluster.hop + 1, asked_at=-1e9, due=turn.clock))
        return _end(way, cluster, nodes)
    return cluster


def _end(way: Way, cluster: ClusterJob, nodes: Nodes) -> ClusterJob:
    way.turn.dirty = True
    if cluster.phase is Phase.FAILED:
        return cluster
    stages = {n.stage for n in nodes.values()}
    worst = next((stage for stage in _WORST if stage in stages), None)
    if worst is not None:
        first = next(n for n in nodes.values() if n.stage is worst)
        why = f"{first.name}: {first.reason}"
        way.turn.tell("cluster-failed", cluster.name, why)
        return replace(cluster, phase=Phase.FAILED, outcome=str(worst), reason=why, waits="")
    if Stage.CANCELLED in stages:
        return replace(cluster, phase=Phase.CANCELLED, reason="the rollout was aborted", waits="")
    way.turn.tell("cluster-done", cluster.name, f"all nodes run {way.hop.version}")
    clock = way.turn.clock
    return replace(
        cluster, phase=Phase.SUCCEEDED, waits="", last_green=-1.0, since=clock, asked_at=-1e9, due=clock
    )


def _next(way: Way, cluster: ClusterJob, nodes: Nodes) -> ClusterJob:
    """Asks for a read of the cluster if something waits for one, and says when to look again."""
    turn = way.turn
    due = grid(turn.clock, WINDOW_INTERVAL)
    interval = 0.0
    latest = 0.0  # when something began to wait
    for job in nodes.values():
        if job.stage in TERMINAL or (job.stage in WAITING and job.mode is Mode.IDLE):
            latest = max(latest, job.since)
            continue
        due = min(due, _job_due(way, job))
        if gated(way, job):
            interval, latest = turn.timing.look, max(latest, job.since)
    if (
        not interval
        and startable(way, nodes)
        and not full(way, nodes)
        and not cluster.waits.startswith(CLOSED)
    ):
        busy = any(active(n) for n in nodes.values())
        interval = turn.timing.look if busy or not cluster.blocked else turn.timing.health
    if not interval:
        return replace(cluster, due=due)
    asked = cluster.asked_at
    if turn.clock - asked >= interval or latest > asked:
        turn.intents.append(LookAtCluster(cluster.name, "guard"))
        asked = turn.clock
    return replace(cluster, asked_at=asked, due=min(due, asked + interval))


def _job_due(way: Way, job: NodeJob) -> float:
    if job.mode is Mode.ACTING:
        return job.deadline + REPLY_SLACK
    if job.mode is Mode.BACKOFF:
        if job.waits.startswith(CLOSED):
            return grid(way.turn.clock, WINDOW_INTERVAL)
        return job.retry_at if way.turn.clock < job.retry_at else way.turn.clock + way.turn.timing.look
    if job.mode is Mode.IDLE:
        return way.turn.clock + way.turn.timing.look
    return min(job.asked_at + way.turn.timing.look, job.deadline)
