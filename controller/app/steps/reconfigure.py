"""Step `reconfigure`: delivers a changed machine configuration. Never changes a Talos version.

A change that needs a reboot holds the cluster's disruption lock until the node is well again.
"""

from controller.app.context import NodeJob
from controller.app.delivered import keep_delivered
from controller.app.steps.base import Patience, Record
from controller.app.steps.verify import Verify
from controller.core.quorum import Member, refuse_disruption
from inventory.errors import FleetError, RefusedError
from inventory.lifecycle import NodeState

_MEMBERS = (NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED, NodeState.READY)


def changes_nothing(details: str) -> bool:
    """Whether a dry run's text shows no changed line (Talos prints a unified diff after a summary)."""
    marks = ("+", "-")
    return not any(
        line.startswith(marks) and not line.startswith(("+++", "---")) for line in details.splitlines()
    )


class Reconfigure:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"config_digest": job.want().config.digest}

    async def act(self, job: NodeJob) -> Record:
        document = job.want().config.text.encode()
        async with job.gate.disruption:
            async with job.limits.talos, job.talos() as node:
                tried = await node.apply_configuration(document, mode="AUTO", dry_run=True)
            reboots = tried.mode == "REBOOT"
            if reboots and job.node.role != "worker":
                await _guard(job)
            keep_delivered(job)
            async with job.limits.talos, job.talos() as node:
                await node.apply_configuration(document, mode="AUTO")
            if reboots:
                await _well_again(job)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        async with job.limits.talos, job.talos() as node:
            tried = await node.apply_configuration(job.want().config.text.encode(), mode="AUTO", dry_run=True)
        return {"config_digest": job.want().config.digest} if changes_nothing(tried.details) else None


async def _guard(job: NodeJob) -> None:
    """Fresh reads of every other control plane, just before the act.

    The plan showed the reboot and was confirmed: that accepts the downtime of a single control plane.
    """
    members = []
    async with job.limits.talos, job.talos() as node:
        learners = {m.hostname for m in await node.etcd_members() if m.is_learner}
    for other in (peer for peer in job.peers if peer.state in _MEMBERS):  # some are still to be installed
        try:
            problem = await Verify.problem(other)
        except FleetError as error:
            problem = error.what
        members.append(Member(other.node.name, well=not problem, learner=other.node.name in learners))
    members.append(Member(job.node.name, well=True, learner=job.node.name in learners))
    reason = refuse_disruption(job.node.name, members, accept_downtime=True)
    if reason:
        raise RefusedError(
            f"the change needs a reboot, but {reason}",
            where=job.node.name,
            fix="mend the other control planes first, then run cto apply again",
        )


async def _well_again(job: NodeJob) -> None:
    async def well() -> bool | str:
        return await Verify.problem(job) or True

    patience = Patience(job.services.clock, 900)
    await patience.until(well, where=job.node.name, fix="look at its console, then run cto apply again")
