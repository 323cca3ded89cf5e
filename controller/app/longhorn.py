"""After a cluster grew, its Longhorn may keep more replicas. Asks first whether anything is to be done."""

from controller.app.context import ClusterJob
from controller.app.engine import insist
from controller.app.steps.registry import CLUSTER_ACTS
from controller.app.steps.replicas import STEP, due


async def follow_growth(job: ClusterJob) -> None:
    if await due(job):
        await insist(job.services, job.run, "cluster", job.cluster.name, STEP, CLUSTER_ACTS[STEP], job)
