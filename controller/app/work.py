"""What one node's task in a run does: install it or go on, deliver a changed configuration, or only look.

Decides that much from the store, and for an adopted node from itself. Changes nothing.
"""

from controller.app.adopted import difference, read_running, wanted
from controller.app.cluster_windows import refuse_closed
from controller.app.context import NodeJob
from controller.app.desired import desire
from inventory.errors import RefusedError
from inventory.lifecycle import RECONFIGURE_PATH, NodeState, Transition

Work = tuple[Transition, ...] | None  # None: the rest of the installation; (): nothing but a look


def is_worked_on(job: NodeJob) -> bool:
    """Is anything ever done to it? Not to one that nobody trusts, and to an adopted one only if told so."""
    if job.state is NodeState.READY and job.record.get("adopted"):
        return bool(job.record.get("managed"))
    return bool(job.row.host_key) and job.state is not NodeState.RESET


async def work_of(job: NodeJob) -> Work:
    """Raises what stands in the way of it."""
    if job.state is NodeState.READY and job.record.get("adopted"):
        running = await read_running(job)
        job.desired = wanted(job, running)
        changes = bool(difference(running.text, job.desired.config.text))
        return _changed(job) if changes or in_doubt(job) else ()
    desired = desire(job.services, job.fleet, job.node) if job.state is not NodeState.PINNED else None
    if desired is not None and desired.rendered is None:
        first = desired.refusals[0]
        raise RefusedError(first.reason, where=job.node.name, fix=first.fix)
    job.desired = desired
    if job.state is not NodeState.READY:
        return None
    changes = desired is not None and desired.config.digest != job.record.get("config_digest")
    return _changed(job) if changes or (desired is not None and in_doubt(job)) else ()


def in_doubt(job: NodeJob) -> bool:
    """Whether a delivery was begun whose end is not known: the node may not have what the record says."""
    steps = [s for s in job.services.store.steps(f"node/{job.node.name}") if s.ref.step == "reconfigure"]
    return bool(steps) and steps[-1].outcome != "done"


def _changed(job: NodeJob) -> Work:
    """In a window, where the cluster is in use; but what was begun is finished."""
    row = job.services.store.cluster(job.cluster.name)
    if row is not None and row.in_use and not in_doubt(job):
        seconds = sum(t.seconds for t in RECONFIGURE_PATH)
        refuse_closed(job.services, row.name, seconds, where=job.node.name)
    return RECONFIGURE_PATH
