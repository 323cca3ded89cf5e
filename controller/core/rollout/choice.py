"""Which node of a cluster goes next, and whether it may: one fresh read of the cluster decides. Pure.

Control planes go one at a time with the etcd leader last, then workers. Nothing here waits or repeats.
"""

from collections.abc import Mapping, Sequence

from controller.core.quorum import Purpose, Reading, guard
from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import Admission, ClusterSeen, NodeView
from controller.core.rollout.model import WAITING, ClusterJob, Mode, NodeJob, Policy, Stage
from controller.core.rollout.node import Way, active, begin, fail, untouched, wanted
from controller.core.rollout.routes import BOOTS, following
from controller.core.rollout.shown import returned, shows

_TROUBLE = (Stage.ROLLED_BACK, Stage.FAILED, Stage.NEEDS_HANDS, Stage.ROLLING_BACK)


def troubled(job: NodeJob) -> bool:
    """Whether this node stops its cluster: nothing new is begun beside it."""
    return job.stage in _TROUBLE or job.ending in _TROUBLE


def worker_limit(policy: Policy, workers: int) -> int:
    """How many workers may be unavailable at a time: percentages are floored, and one always may."""
    if policy.max_unavailable_percent:
        return max(1, policy.max_unavailable_percent * workers // 100)
    return max(1, policy.max_unavailable)


def full(way: Way, nodes: Mapping[str, NodeJob]) -> bool:
    """Whether those under way leave no room for another one, whatever a read would say."""
    busy = [n for n in nodes.values() if active(n)]
    if not busy:
        return False
    if any(n.control_plane and (active(n) or n.stage in WAITING) for n in nodes.values()):
        return True
    workers = sum(not n.control_plane for n in nodes.values())
    return len(busy) >= worker_limit(way.turn.policy, workers)


def refusal(way: Way, cluster: ClusterJob, job: NodeJob, seen: ClusterSeen) -> str:
    """Why this node must not be disrupted at this moment, by a read that just arrived."""
    if seen.holder:
        return f"{seen.holder} holds the cluster's disruption lease"
    if not job.control_plane:
        return ""
    remedy = way.turn.remedy or job.stage is Stage.ROLLING_BACK
    return guard(
        job.name,
        Reading(
            age=way.turn.now - seen.at,
            endpoints=seen.endpoints,
            members=seen.members,
            expected=sum(other.control_plane for other in cluster.nodes.values()),
        ),
        purpose=Purpose.REMEDY if remedy else Purpose.PLANNED,
        in_flight=[n.name for n in cluster.nodes.values() if active(n) and n.name != job.name],
        accept_downtime=way.turn.policy.accept_downtime,
    )


def proceed(way: Way, cluster: ClusterJob, job: NodeJob, seen: ClusterSeen, view: NodeView) -> NodeJob:
    """A node on its way wants its next step, and that one needs a fresh read."""
    step = wanted(way, job)
    if untouched(job):
        return _begin_after_all(way, cluster, job, seen, step)
    if job.stage is Stage.ROLLING_BACK and returned(way.hop, view, job.source):
        if view.ready and view.healthy:
            return fail(way, job, Stage.ROLLED_BACK, job.reason)
        return replace(job, waits=f"it is back on {job.source} by itself, but not healthy")
    restarted = view.boot_id not in ("", job.boot_id)
    if step == "reboot" and restarted and shows(way.hop, view, way.hop.version):
        return begin(way, job, "verify")
    why = refusal(way, cluster, job, seen)
    if not why and step in BOOTS and not (view.reachable and view.boot_id):
        why = "it does not tell its boot id"
    if why:
        return replace(job, waits=why)
    return begin(way, replace(job, boot_id=view.boot_id, waits=""), step)


def _begin_after_all(way: Way, cluster: ClusterJob, job: NodeJob, seen: ClusterSeen, step: str) -> NodeJob:
    """It was chosen and not begun, however long ago: all is asked again, as for one that is chosen now."""
    admission = way.turn.gates.admits(cluster.site, way.turn.now, way.turn.timing.expected)
    why = way.closed() or _unfit(way, seen) or refusal(way, cluster, job, seen)
    if why:
        return replace(job, waits=why)
    return begin(way, replace(job, until=admission.until), step)


def start(
    way: Way, cluster: ClusterJob, seen: ClusterSeen, admission: Admission
) -> tuple[NodeJob | None, str]:
    """The node that is begun now, if one is; else why none is."""
    ready = [n for n in cluster.nodes.values() if _ready(way, n)]
    why = _unfit(way, seen)
    if why:
        return None, why
    candidate, why = _candidate(way, cluster, ready, seen)
    if candidate is None:
        return None, why
    view = next((v for v in seen.nodes if v.name == candidate.name), None)
    if view is None or not (view.reachable or way.turn.remedy):
        return None, f"{candidate.name} does not answer"
    why = refusal(way, cluster, candidate, seen)
    if why:
        return None, why
    chosen = replace(
        candidate, stage=Stage.GUARDED, until=admission.until, boot_id=view.boot_id, kept_cordon=view.cordoned
    )
    way.turn.tell("node-started", chosen.name, f"to {way.hop.version}", cluster=way.cluster)
    return begin(way, chosen, _first(way, cluster, chosen)), ""


def _first(way: Way, cluster: ClusterJob, job: NodeJob) -> str:
    step = following(way.hop.kind, job.step)
    others = (each for each in cluster.nodes.values() if each.control_plane and each.name != job.name)
    tried = way.turn.remedy and any(each.step for each in others)  # once: it may be what gives none
    needless = not job.control_plane or cluster.snapshot_hop >= way.number or tried
    return following(way.hop.kind, step) if step == "snapshot" and needless else step


def _ready(way: Way, job: NodeJob) -> bool:
    return job.stage in WAITING and job.mode is Mode.IDLE and following(way.hop.kind, job.step) != "stage"


def _unfit(way: Way, seen: ClusterSeen) -> str:
    """What of the whole cluster forbids planned work."""
    if way.turn.remedy:
        return ""
    if not seen.leader:
        return "etcd has no leader"
    if not seen.system_ready:
        return "pods of kube-system are not ready"
    return seen.problem


def _candidate(
    way: Way, cluster: ClusterJob, ready: Sequence[NodeJob], seen: ClusterSeen
) -> tuple[NodeJob | None, str]:
    busy = [n.name for n in cluster.nodes.values() if active(n)]
    planes = [n for n in cluster.nodes.values() if n.control_plane]
    if any(n.stage in WAITING for n in planes):
        if busy:
            return None, f"{busy[0]} is under way"
        if any(n.stage in WAITING and not _ready(way, n) for n in planes):
            return None, "the control planes are being staged"
        unwell = {v.name for v in seen.nodes if not (v.ready and v.healthy)}
        order = sorted(
            (n for n in ready if n.control_plane), key=lambda n: (n.name not in unwell, n.name == seen.leader)
        )
        return order[0], ""
    if any(active(n) for n in planes):
        return None, f"{busy[0]} is under way"
    if not ready:
        return None, "images are being staged"
    return _worker(way, cluster, ready, seen, busy)


def _worker(
    way: Way, cluster: ClusterJob, ready: Sequence[NodeJob], seen: ClusterSeen, busy: Sequence[str]
) -> tuple[NodeJob | None, str]:
    """A worker that is away already goes first: updating it makes nothing less available."""
    workers = {n.name for n in cluster.nodes.values() if not n.control_plane}
    away = {v.name for v in seen.nodes if v.name in workers and (v.cordoned or not v.ready)} | set(busy)
    first = min(ready, key=lambda n: n.name not in away)
    limit = worker_limit(way.turn.policy, len(workers))
    taken = busy if way.turn.remedy and first.name in away else away - {first.name}
    if len(taken) + 1 > limit:
        return None, f"{', '.join(sorted(taken)[:3])} unavailable; at most {limit} may be"
    return first, ""
