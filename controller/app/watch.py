"""Re-reads what is ready, over and over, so that the page tells what is true now. Repairs nothing.

Only `cto serve` watches; a single command reads what it needs and ends.
"""

import asyncio

from controller.app.context import ClusterJob, Limits, NodeJob
from controller.app.looking import look
from controller.app.services import Services
from controller.app.steps.cluster import VerifyCluster
from controller.app.steps.verify import Verify
from controller.app.stored import stored_jobs
from controller.store import ClusterRow
from inventory.errors import FleetError
from inventory.lifecycle import ClusterState, NodeState

EVERY = 60.0  # seconds; what is older than ten minutes is shown as old


async def watch(services: Services, *, every: float = EVERY) -> None:
    """For ever. What does not answer is a problem on that node or cluster, not an end of the watch."""
    limits = Limits.default()
    while True:
        await asyncio.gather(*(_cluster(services, row, limits) for row in services.store.clusters()))
        await services.clock.sleep(every)


async def _cluster(services: Services, row: ClusterRow, limits: Limits) -> None:
    jobs = stored_jobs(services, row, limits)
    ready = [job for job in jobs if job.state is NodeState.READY]
    await asyncio.gather(*(_node(services, job) for job in ready))
    if row.in_use:
        await look(services, row.name, jobs)
    if row.state is not ClusterState.READY:
        return
    cluster = ClusterJob(services, "", jobs[0].cluster, jobs[0].gate, jobs) if jobs else None
    try:
        problem = await VerifyCluster.problem(cluster) if cluster else ""
    except FleetError as error:
        problem = str(error)
    if not problem:
        services.store.touch_cluster(row.name)
    now = services.store.cluster(row.name)
    if now is not None and now.state is row.state and problem != now.problem == row.problem:
        _tell(services, row.name, f"cluster/{row.name}", problem)


async def _node(services: Services, job: NodeJob) -> None:
    before = job.row
    try:
        problem = await Verify.problem(job)
    except FleetError as error:
        problem = str(error)
    else:
        services.store.touch(before.name)
    now = services.store.node(before.name)
    if now is not None and now.state is before.state and problem != now.problem == before.problem:
        _tell(services, before.cluster, f"node/{before.name}", problem)


def _tell(services: Services, cluster: str, subject: str, problem: str) -> None:
    """Where a rollout is at work, what is amiss is its matter: nodes are away, and of two versions."""
    if not problem or not services.store.clusters_at_work(cluster):
        services.store.set_problem(subject, problem)
