"""Carries out one queued run (`apply` or `reset`): all clusters side by side, members of each side by side.

Decides only who waits for whom; what happens to one node is `app.engine`'s matter, what should happen is
the plan's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.app.context import ClusterGate, ClusterJob, Limits, NodeJob
from controller.app.desired import ensure_bundles, ensure_manifests
from controller.app.endpoint_move import settle_endpoint
from controller.app.engine import describe, drive_cluster, drive_node, problem_text
from controller.app.growth import growth_of
from controller.app.identity import minting
from controller.app.licensing import without_place
from controller.app.longhorn import follow_growth
from controller.app.observe import observe
from controller.app.recovery import execute_recovery
from controller.app.removal import execute_removal
from controller.app.reset import forget_empty, forget_nodes
from controller.app.rollout_hold import held
from controller.app.services import Services
from controller.app.steps.reset import TALOS_STATES
from controller.app.steps.verify import Verify
from controller.app.work import is_worked_on, work_of
from controller.core.plan import Verdict, judge
from inventory.errors import FleetError, RefusedError
from inventory.fleet import Cluster, Fleet, Node
from inventory.lifecycle import ClusterState, NodeState, Transition, reset_path
from inventory.resolve import load_files
from inventory.selectors import Selection

# Runs that need no site file: they are about what is there.
ASIDE: Mapping[str, Callable[[Services, str, Mapping[str, Any]], Awaitable[Verdict]]] = {
    "remove": execute_removal,
    "recover": execute_recovery,
}


@dataclass(slots=True)
class Outcome:
    """What became of each subject; `failed` holds the stored description of the error."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def verdict(self) -> Verdict:
        return judge(done=len(self.done), failed={k: str(v.get("what", "")) for k, v in self.failed.items()})


@dataclass(frozen=True, slots=True)
class Run:
    """What the clusters of one run share. `chosen` are the nodes that something may be done to."""

    services: Services
    id: str
    fleet: Fleet
    chosen: frozenset[str]
    limits: Limits
    outcome: Outcome

    def jobs(self, cluster: Cluster) -> tuple[NodeJob, ...]:
        return jobs_of(self.services, self.id, self.fleet, cluster, self.limits)


async def execute(services: Services, run_id: str, body: Mapping[str, Any]) -> Verdict:
    """Does one run to its end. Never raises for what a node did: that is in the verdict and on the node."""
    kind = str(body.get("kind", "apply"))
    if kind in ASIDE:
        return await ASIDE[kind](services, run_id, body)
    if kind == "replace":
        from controller.app.replacing import execute_replacement  # it uses what is below

        return await execute_replacement(services, run_id, body)
    resolved = load_files(body["texts"])
    selection = Selection.from_dict(body["selection"])
    chosen = {node.name for node in selection.pick(resolved.fleet)}
    outcome = Outcome()
    clusters = [c for c in resolved.fleet.clusters.values() if chosen & set(c.nodes)]
    begun = chosen if kind == "apply" else set()
    for name, error in (await observe(services, resolved.fleet.nodes, begun)).items():
        outcome.failed[f"node/{name}"] = describe(error)
        services.store.set_problem(f"node/{name}", problem_text(error, name))
    if services.store.observe_only():
        return outcome.verdict()  # the store refuses every change until all nodes were read
    if kind == "apply":
        _licensed(services, [node for node in resolved.fleet.nodes.values() if node.name in chosen], outcome)
    for name, refusal in held(services, chosen).items():
        outcome.failed[f"node/{name}"] = describe(refusal)
    chosen -= {subject.removeprefix("node/") for subject in outcome.failed}
    if body.get("until") == NodeState.PREPARED:
        from controller.app.preparing import prepare_all  # it uses what is below

        await prepare_all(services, run_id, resolved.fleet, clusters, chosen, outcome)
        return outcome.verdict()
    await ensure_bundles(services, (c.name for c in clusters))
    await ensure_manifests(services, clusters)
    drive = _reset_cluster if kind == "reset" else apply_cluster
    run = Run(services, run_id, resolved.fleet, frozenset(chosen), Limits.default(), outcome)
    await asyncio.gather(*(drive(run, cluster) for cluster in clusters))
    return outcome.verdict()


def _licensed(services: Services, nodes: Sequence[Node], outcome: Outcome) -> None:
    """Those whose key is trusted would get something put on them now; is there a place for each?"""
    trusted = {row.name for row in services.store.nodes() if row.host_key}
    held = without_place(services, (n for n in nodes if n.name in trusted))
    for name, refusal in held.items():
        error = RefusedError(refusal.reason, where=name, fix=refusal.fix)
        outcome.failed[f"node/{name}"] = describe(error)
        services.store.set_problem(f"node/{name}", problem_text(error, name))


def jobs_of(
    services: Services, run: str, fleet: Fleet, cluster: Cluster, limits: Limits
) -> tuple[NodeJob, ...]:
    gate = ClusterGate(cluster.name)
    identity = minting(services, cluster.name)
    nodes = [n for n in fleet.nodes_of(cluster.name) if services.store.node(n.name) is not None]
    jobs = tuple(NodeJob(services, run, fleet, n, cluster, gate, limits, identity) for n in nodes)
    for job in jobs:
        job.peers = tuple(other for other in jobs if other is not job and other.node.role != "worker")
    return jobs


async def apply_cluster(run: Run, cluster: Cluster) -> None:
    outcome = run.outcome
    jobs = run.jobs(cluster)
    if not await settle_endpoint(run.id, cluster, jobs, run.chosen, outcome.failed):
        return
    work: dict[str, tuple[Transition, ...] | None] = {}
    for job in jobs:
        if job.state in (NodeState.JOINED, NodeState.CLEANED, NodeState.READY) and job.node.role != "worker":
            job.gate.first_joined.set()
        try:
            if job.node.name in run.chosen and is_worked_on(job):
                work[job.node.name] = await work_of(job)
        except FleetError as error:
            failed(job, error, outcome)
    _leave_out_lone_workers(jobs, work, outcome)
    growth = growth_of(run.services, cluster.name, jobs, tuple(work))
    gate = jobs[0].gate if jobs else ClusterGate(cluster.name)
    cluster_job = ClusterJob(run.services, run.id, cluster, gate, jobs)
    tasks = {
        job.node.name: asyncio.ensure_future(_one_node(job, work[job.node.name], outcome))
        for job in jobs
        if job.node.name in work
    }
    if growth is not None:
        growth.begin(jobs, tasks, outcome.failed)
    whole = all(
        name in work or (row is not None and row.state == NodeState.READY)
        for name in cluster.nodes
        for row in [run.services.store.node(name)]
    )
    watcher = asyncio.ensure_future(
        _one_cluster(cluster_job, any(path != () for path in work.values()), whole, outcome)
    )
    await _settle(cluster_job, tasks, watcher, outcome)


def _leave_out_lone_workers(
    jobs: Sequence[NodeJob], work: dict[str, tuple[Transition, ...] | None], outcome: Outcome
) -> None:
    """A worker gets its certificate from a control plane: without one it would be wiped and wait in vain."""
    planes = [job for job in jobs if job.node.role != "worker"]
    if any(job.gate.first_joined.is_set() or job.node.name in work for job in planes):
        return
    for job in [job for job in jobs if job.node.name in work]:
        del work[job.node.name]
        what = f"cluster {job.cluster.name} has no control plane yet, and none is installed with it"
        failed(job, RefusedError(what, fix="leave --node out, or select a control plane as well"), outcome)


def failed(job: NodeJob, error: FleetError, outcome: Outcome) -> None:
    outcome.failed[f"node/{job.node.name}"] = describe(error)
    job.services.store.set_problem(f"node/{job.node.name}", problem_text(error, job.node.name))


async def _one_node(job: NodeJob, transitions: tuple[Transition, ...] | None, outcome: Outcome) -> None:
    try:
        if transitions == ():
            problem = await Verify.problem(job)
            if problem:
                outcome.failed[f"node/{job.node.name}"] = {"what": problem, "slug": "deviates"}
                job.services.store.set_problem(f"node/{job.node.name}", problem)
                return
            job.services.store.touch(job.node.name)
        else:
            await drive_node(job, transitions)
        if job.row.problem:
            job.services.store.set_problem(f"node/{job.node.name}", "")
        if job.growth is not None:
            await job.growth.passed(job.node.name)
        outcome.done.append(f"node/{job.node.name}")
    except FleetError as error:
        failed(job, error, outcome)
        if job.growth is not None:
            await job.growth.failed(job.node.name, error.what)


async def _one_cluster(job: ClusterJob, changes: bool, whole: bool, outcome: Outcome) -> None:
    name = f"cluster/{job.cluster.name}"
    state = ClusterState(job.row.state)
    try:
        await drive_cluster(job, whole=whole, again=changes)
        if whole:
            await follow_growth(job)  # also if the run that made it grow did not come so far
            if job.row.problem:
                job.services.store.set_problem(name, "")
            if state is not ClusterState.READY or changes:
                outcome.done.append(name)
    except FleetError as error:
        outcome.failed[name] = describe(error)
        job.services.store.set_problem(name, problem_text(error, job.cluster.name))
        job.gate.fail(f"cluster {job.cluster.name} stands still: {error.what}")


async def _settle(
    job: ClusterJob,
    tasks: Mapping[str, "asyncio.Future[None]"],
    watcher: "asyncio.Future[None]",
    outcome: Outcome,
) -> None:
    """Waits for all; wakes those who wait for something that can't come any more."""
    planes = [tasks[m.node.name] for m in job.control_planes if m.node.name in tasks]
    try:
        if planes and not job.gate.first_joined.is_set():
            joined = asyncio.ensure_future(job.gate.first_joined.wait())
            every = asyncio.ensure_future(asyncio.wait(planes))
            await asyncio.wait([joined, every], return_when=asyncio.FIRST_COMPLETED)
            joined.cancel()
            every.cancel()
        if not job.gate.first_joined.is_set():
            job.gate.fail("none of its control planes could be installed")
        await asyncio.gather(*tasks.values())
        names = [n for n in tasks if f"node/{n}" in outcome.failed]
        if names:
            job.gate.fail(f"members failed: {', '.join(sorted(names))}")
        job.gate.members_done.set() if not names else None
        await watcher
    finally:
        for task in (*tasks.values(), watcher):
            task.cancel()
        await asyncio.gather(*tasks.values(), watcher, return_exceptions=True)


async def _reset_cluster(run: Run, cluster: Cluster) -> None:
    """One after the other, workers first: each control plane leaves etcd before the next one does."""
    jobs = [j for j in run.jobs(cluster) if j.node.name in run.chosen]
    jobs.sort(key=lambda j: j.node.role != "worker")
    for job in jobs:  # those that stay are read before each goes
        job.peers = tuple(p for p in job.peers if p.node.name not in run.chosen and p.state in TALOS_STATES)
    for job in jobs:
        await _one_node(job, reset_path(job.state), run.outcome)
    forget_empty(run.services, cluster)
    await forget_nodes(run.services, run.id, cluster.name, run.chosen, run.outcome.failed)
