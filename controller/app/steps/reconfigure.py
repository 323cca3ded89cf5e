"""Step `reconfigure`: delivers a changed machine configuration to a running node.

Never changes its Talos version.
"""

from controller.app.context import NodeJob
from controller.app.steps.base import Record
from controller.app.steps.configure import keep_delivered


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
        keep_delivered(job)
        async with job.gate.disruption, job.limits.talos, job.talos() as node:
            await node.apply_configuration(job.want().config.text.encode(), mode="AUTO")
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        async with job.limits.talos, job.talos() as node:
            tried = await node.apply_configuration(job.want().config.text.encode(), mode="AUTO", dry_run=True)
        return {"config_digest": job.want().config.digest} if changes_nothing(tried.details) else None
