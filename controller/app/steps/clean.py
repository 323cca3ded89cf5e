"""Step `clean`: the configuration partition must not outlive the install: its secrets are wiped and it is
dropped.

Waits for the node to be ready first, since until then STATE may not hold the configuration.
"""

from controller.app.context import NodeJob
from controller.app.ports import TalosNode, Volume
from controller.app.steps.base import Patience, Record
from roles.installer import CONFIG_LABEL


class Clean:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"config_partuuid": job.record.get("config_partuuid", "")}

    async def act(self, job: NodeJob) -> Record:
        await job.gate.wait(job.gate.bootstrapped)
        patience = Patience(job.services.clock, 900)

        async def ready() -> bool | str:
            async with job.limits.talos, job.talos() as node:
                status = await node.machine_status()
            if status.stage == "running" and status.ready:
                return True
            return f"it is {status.stage}, not ready: {'; '.join(status.unmet) or 'no reason given'}"

        await patience.until(
            ready, where=job.node.name, fix="look at cto node show and its console, then run cto apply again"
        )
        async with job.limits.talos, job.talos() as node:
            found = await self._find(job, node)
            if found is not None:
                await node.wipe(found.name, drop_partition=True)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        async with job.limits.talos, job.talos() as node:
            return {"config_partition": "dropped"} if await self._find(job, node) is None else None

    @staticmethod
    async def _find(job: NodeJob, node: TalosNode) -> Volume | None:
        """By the PARTUUID we recorded, never by number: numbers shift. If a restored store does not know it,
        by the name of its file system, which we made sure is on no other disk.
        """
        wanted = str(job.record.get("config_partuuid", "")).lower()
        for volume in await node.volumes():
            ours = volume.partition_uuid.lower() == wanted if wanted else volume.label == CONFIG_LABEL
            if ours:
                return volume
        return None
