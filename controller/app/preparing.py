"""`--until prepared`: machines are made ready now and installed later. Its plan, and its run.

What a machine was made ready with is looked at again each time, and only what differs is brought back.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from controller.app.context import Limits, NodeJob
from controller.app.desired import desire, ensure_bundles, ensure_manifests
from controller.app.engine import drive_node
from controller.app.plan import ACTOR, Look, make_plan
from controller.app.run import Outcome, failed, jobs_of
from controller.app.services import Services
from controller.app.settings import deviations, wanted_by
from controller.core.plan import Change, NodePlan, Plan, assemble
from inventory.errors import FleetError, RefusedError
from inventory.fleet import Cluster, Fleet, Node
from inventory.lifecycle import SETTINGS_PATH, NodeState, remaining
from inventory.resolve import Resolved
from inventory.selectors import Selection

LAST = NodeState.PREPARED
_STEPS = frozenset(t.step for t in remaining(NodeState.PINNED, until=LAST))
_BEFORE = (NodeState.DECLARED, NodeState.PINNED, NodeState.INSPECTED, NodeState.RESET)


async def plan_preparation(
    services: Services, resolved: Resolved, selection: Selection, look: Look = Look.ACT
) -> Plan:
    """As `make_plan`, up to the step `prepare`. Where that is behind all of them, no machine is asked."""
    picked = selection.pick(resolved.fleet)
    services.store.declare(resolved.fleet, actor=ACTOR)
    if all(_state(services, node) not in _BEFORE for node in picked):
        warnings = tuple(str(warning) for warning in resolved.warnings)
        return assemble([_nothing(services, node) for node in picked], (), warnings=warnings)
    made = await make_plan(services, resolved, selection, look)
    return assemble([_cut(node) for node in made.nodes], (), warnings=made.warnings)


def _state(services: Services, node: Node) -> NodeState:
    row = services.store.node(node.name)
    return NodeState(row.state) if row else NodeState.DECLARED


def _nothing(services: Services, node: Node) -> NodePlan:
    state = _state(services, node)
    return NodePlan(node.name, node.site, node.cluster, node.role, state, Change.NOTHING)


def _cut(node: NodePlan) -> NodePlan:
    """The plan of a node without what is not to be done yet."""
    steps = tuple(step for step in node.steps if step.step in _STEPS)
    if node.change is Change.REFUSED or steps:
        return replace(node, steps=steps)
    return NodePlan(node.name, node.site, node.cluster, node.role, node.state, Change.NOTHING)


async def prepare_all(
    services: Services,
    run: str,
    fleet: Fleet,
    clusters: Sequence[Cluster],
    chosen: set[str],
    outcome: Outcome,
) -> None:
    """Each chosen node up to `prepared`. Clusters are not touched; a node that is further is left alone."""
    limits = Limits.default()
    jobs = [
        job
        for cluster in clusters
        for job in jobs_of(services, run, fleet, cluster, limits)
        if job.node.name in chosen and job.row.host_key and job.state is not NodeState.RESET
    ]
    new = {job.node.cluster for job in jobs if job.state in _BEFORE}
    await ensure_bundles(services, new)
    await ensure_manifests(services, [cluster for cluster in clusters if cluster.name in new])
    await _each(jobs, outcome)


async def _each(jobs: Iterable[NodeJob], outcome: Outcome) -> None:
    async def one(job: NodeJob) -> None:
        try:
            await _one(job)
        except FleetError as error:
            failed(job, error, outcome)
        else:
            job.services.store.touch(job.node.name)
            if job.row.problem:
                job.services.store.set_problem(f"node/{job.node.name}", "")
            outcome.done.append(f"node/{job.node.name}")

    await asyncio.gather(*(one(job) for job in jobs))


async def _one(job: NodeJob) -> None:
    state = job.state
    if state is LAST:
        async with job.limits.gather:
            differs = await deviations(job.services, job.target, wanted_by(job))
        if differs:
            await drive_node(job, SETTINGS_PATH)
        return
    if state is NodeState.INSPECTED:
        refusals = desire(job.services, job.fleet, job.node).refusals
        if refusals:
            raise RefusedError(refusals[0].reason, where=job.node.name, fix=refusals[0].fix)
    await drive_node(job, remaining(state, until=LAST))
