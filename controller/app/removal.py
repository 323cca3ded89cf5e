"""`cto node remove`: one node leaves a cluster that stays. What it would do is said first; then it is a run.

A node that lives is drained, leaves etcd and is wiped. One that is dead is taken out by the others; its disk
can't be wiped, so it is told what is still on it. Whole clusters are `cto node reset --cluster`'s matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.app.cluster_windows import refuse_closed, refuse_frozen
from controller.app.context import ClusterJob, Limits, NodeJob
from controller.app.disruption import alone, refuse_during_rollout
from controller.app.engine import describe, drive_node, insist, problem_text
from controller.app.etcd_reading import LIVE, read_etcd
from controller.app.services import Services
from controller.app.steps.base import Patience
from controller.app.steps.cluster import VerifyCluster
from controller.app.steps.registry import CLUSTER_ACTS, CLUSTER_STEPS
from controller.app.steps.reset import TALOS_STATES, Reset
from controller.app.stored import stored_jobs
from controller.core.membership import Passage, explained, shrinking
from controller.core.plan import Verdict, judge
from controller.core.quorum import lost, refuse_leave
from controller.store import ClusterRow, NodeRow
from inventory.errors import FleetError, OperatorError, RefusedError
from inventory.lifecycle import CLUSTER_ACTS as ACTS
from inventory.lifecycle import NODE_TRANSITIONS, ClusterState, NodeState, reset_path

_MEMBERS = (NodeState.BOOTING, *LIVE)
_SETTLE_SECONDS = 120
_LEAVING = ("drain-node", "remove-member", "reset", "forget-node")
STILL_THERE = (
    "its disk was not wiped and holds the cluster's keys: wipe it before it is used again or given away, and"
    " never let it boot on the cluster's network"
)


@dataclass(frozen=True, slots=True)
class Removal:
    """What would be done, in words."""

    node: str
    cluster: str
    lines: tuple[str, ...]


async def describe_removal(services: Services, name: str, *, dead: bool) -> Removal:
    """Asks the cluster afresh. Raises RefusedError for what must not be done, with the reason."""
    row, cluster = known(services, name)
    refuse_during_rollout(services, cluster.name)
    if row.state is NodeState.RESET:
        return Removal(name, cluster.name, (f"{name}: given up before; taken out of Kubernetes",))
    _refuse_untimely(services, row, dead=dead)
    jobs = stored_jobs(services, cluster, Limits.default())
    own = next(job for job in jobs if job.node.name == name)
    answers = await Reset.talos_answers(own)
    if dead and answers:
        raise RefusedError("it answers, so it is not dead", where=name, fix="run it again without --dead")
    if not dead and not answers and not _being_wiped(services, name):
        raise RefusedError(
            "its Talos does not answer",
            where=name,
            fix="power it on and check its network; if it is gone for good: --dead",
        )
    lines = [f"{name}: taken out of Kubernetes" if dead else f"{name}: drained, taken out of Kubernetes"]
    if row.role != "worker":
        lines += await _leaving(services, jobs, name, dead=dead)
    lines.append(f"{name}: {STILL_THERE}" if dead else f"{name}: everything on {_disk(row)} is destroyed")
    return Removal(name, cluster.name, tuple(lines))


def seconds_of(step: str) -> float:
    """How long a step usually takes."""
    return next(t.seconds for t in (*NODE_TRANSITIONS, *ACTS) if t.step == step)


def known(services: Services, name: str) -> tuple[NodeRow, ClusterRow]:
    """The node and its cluster. Raises if it is none that could leave one."""
    row = services.store.node(name)
    if row is None:
        raise OperatorError(
            f"there is no node {name!r}", fix="see `cto node list` for the nodes that are known"
        )
    cluster = services.store.cluster(row.cluster)
    if cluster is None or row.state not in (*TALOS_STATES, NodeState.RESET):
        fix = f"cto node reset --node {name}"
        raise RefusedError(f"it is {row.state}, and no member of a cluster", where=name, fix=fix)
    return row, cluster


async def _leaving(services: Services, jobs: Sequence[NodeJob], name: str, *, dead: bool) -> tuple[str, ...]:
    planes = [job for job in jobs if job.node.role != "worker" and job.state in _MEMBERS]
    seen = await read_etcd(services, planes)
    if not seen.id_of(name) and seen.members:
        return (f"{name}: has left etcd already",)
    reading = seen.reading(services)
    reason = refuse_leave(name, reading, dead=dead)
    if reason:
        fix = "mend that first; a whole cluster goes by cto node reset --cluster"
        if lost(reading):
            fix = f"etcd has no quorum: cto cluster recover {jobs[0].cluster.name} --snapshot ID"
        raise RefusedError(reason, where=name, fix=fix)
    path: Sequence[Passage] = shrinking(len(seen.members), [name], dead=dead)
    return ("an etcd snapshot is taken first", *explained(path))


def _refuse_untimely(services: Services, row: NodeRow, *, dead: bool) -> None:
    """What is begun is finished, and what is dead is no work: otherwise it has to fit into a window."""
    if unfinished(services, row):
        return
    rows = services.store.nodes(cluster=row.cluster)
    members = sum(one.role != "worker" and one.state in _MEMBERS for one in rows)
    if dead or (row.role != "worker" and members % 2 == 0):
        refuse_frozen(services, row.cluster, where=row.name)
        return
    refuse_closed(services, row.cluster, sum(seconds_of(step) for step in _LEAVING), where=row.name)


def _being_wiped(services: Services, name: str) -> bool:
    """By a run that did not come to its end: then its Talos may be gone already, as it should be."""
    steps = services.store.steps(f"node/{name}")
    return bool(steps) and steps[-1].ref.step == "reset" and steps[-1].outcome != "done"


def unfinished(services: Services, row: NodeRow) -> bool:
    """Was it drained, or taken out of etcd, by a run that did not come to its end?"""
    about = [s for s in services.store.steps(f"cluster/{row.cluster}") if s.detail.get("node") == row.name]
    return bool(about) and (about[-1].ref.step != "forget-node" or about[-1].outcome != "done")


def _disk(row: NodeRow) -> str:
    disk = row.record.get("disk", {})
    serial = disk.get("serial") or "unknown"
    return f"{disk.get('path', 'its system disk')} ({disk.get('model') or 'unknown model'}, serial {serial})"


async def execute_removal(services: Services, run: str, body: Mapping[str, Any]) -> Verdict:
    """One queued run. Never raises for what a node did."""
    name = str(body["node"])
    subject = f"node/{name}"
    try:
        await remove(services, run, name, dead=bool(body["dead"]))
    except FleetError as error:
        services.store.set_problem(subject, problem_text(error, name))
        return judge(done=0, failed={subject: str(describe(error)["what"])})
    return judge(done=1, failed={})


async def remove(services: Services, run: str, name: str, *, dead: bool) -> None:
    """Every step looks first, so that this may be run again after anything."""
    node, row = known(services, name)
    if node.state is not NodeState.RESET:
        _refuse_untimely(services, node, dead=dead)
    limits = Limits.default()
    jobs = stored_jobs(services, row, limits, run=run)
    own = next(job for job in jobs if job.node.name == name)
    own.peers = tuple(peer for peer in own.peers if peer.state in TALOS_STATES)
    act = ClusterJob(services, run, own.cluster, own.gate, jobs, {"node": name, "dead": dead})
    gone = own.state is NodeState.RESET  # an earlier run came as far as that
    steps = [] if dead or gone else ["drain-node"]
    steps += ["remove-member"] if own.node.role != "worker" and not gone else []
    async with alone(services, row.name):
        for step in steps:
            await insist(services, run, "cluster", row.name, step, CLUSTER_ACTS[step], act)
        if not dead:
            await drive_node(own, reset_path(own.state))  # none, once it was reset
        await insist(services, run, "cluster", row.name, "forget-node", CLUSTER_ACTS["forget-node"], act)
    if dead and not gone:
        reason = "removed by an operator while it was dead"
        services.store.move(name, NodeState.RESET, reason=reason, actor="engine")
        services.store.set_problem(f"node/{name}", STILL_THERE)
    await verify_again(act)


async def verify_again(job: ClusterJob) -> None:
    """The cluster of those that stay, by fresh reads; what it was before is no proof any more."""
    services, name = job.services, job.cluster.name
    if ClusterState(job.row.state) not in (ClusterState.ACCESSIBLE, ClusterState.READY):
        return
    stay = tuple(m for m in job.members if m.state is NodeState.READY)
    cluster = replace(job.cluster, nodes=tuple(m.node.name for m in stay))
    again = replace(job, cluster=cluster, members=stay)
    again.gate.members_done.set()
    if job.row.state is ClusterState.READY:
        services.store.move_cluster(name, ClusterState.ACCESSIBLE, reason="a member left", actor="engine")

    async def good() -> bool | str:
        return await VerifyCluster.problem(again) or True

    try:
        patience = Patience(services.clock, _SETTLE_SECONDS)
        await patience.until(good, where=name, fix="see cto cluster show; then run cto apply")
    except FleetError as error:  # what was asked for is done; another member may be ill
        services.store.set_problem(f"cluster/{name}", problem_text(error, name))
        return
    step = "verify-cluster"
    await insist(services, job.run, "cluster", name, step, CLUSTER_STEPS[step], again)
