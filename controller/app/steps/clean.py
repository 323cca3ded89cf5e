"""Step `clean`: the configuration partition must not outlive the install: its secrets are wiped and it is
dropped. Where the configuration came in another way, there is none.

Waits for the node to be ready first, since until then STATE may not hold the configuration. Talos 1.10 and
1.11 hold the partition until they are booted again, which happens here, one node of a cluster at a time.
"""

from controller.app.context import NodeJob
from controller.app.delivery.registry import delivery_of
from controller.app.ports import TalosNode, Volume
from controller.app.steps.base import Patience, Record
from inventory import versions
from inventory.errors import CheckFailed, NotYet
from roles.installer import CONFIG_LABEL

_HOLDS_UNTIL_REBOOT = (10, 11)  # Talos minors that keep the volume they read the configuration from


class Clean:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"config_partuuid": job.record.get("config_partuuid", "")}

    async def act(self, job: NodeJob) -> Record:
        await job.gate.wait(job.gate.bootstrapped)
        await _ready(job)
        if await self._drop(job):
            return {}
        async with job.gate.disruption:
            await _reboot(job)
            await _ready(job)
        if not await self._drop(job):
            raise CheckFailed(
                "the configuration partition is still in use after a reboot",
                where=job.node.name,
                fix="look at its volumes (talosctl get discoveredvolumes), then run cto apply again",
            )
        return {}

    async def _drop(self, job: NodeJob) -> bool:
        """False: Talos still uses it."""
        async with job.limits.talos, job.talos() as node:
            found = await self._find(job, node)
            if found is None:
                return True
            try:
                await node.wipe(found.name, drop_partition=True)
            except NotYet:
                if versions.minor(job.want().talos) not in _HOLDS_UNTIL_REBOOT:
                    raise
                return False
        return True

    async def observe(self, job: NodeJob) -> Record | None:
        async with job.limits.talos, job.talos() as node:
            if await self._find(job, node) is not None:
                return None
        return {"config_partition": "dropped" if delivery_of(job).drops else "none"}

    @staticmethod
    async def _find(job: NodeJob, node: TalosNode) -> Volume | None:
        """By the PARTUUID we recorded, never by number: numbers shift. If a restored store does not know it,
        by the name of its file system, which we made sure is on no other disk.
        """
        if not delivery_of(job).drops:
            return None
        wanted = str(job.record.get("config_partuuid", "")).lower()
        for volume in await node.volumes():
            ours = volume.partition_uuid.lower() == wanted if wanted else volume.label == CONFIG_LABEL
            if ours:
                return volume
        return None


async def _ready(job: NodeJob) -> None:
    async def ready() -> bool | str:
        async with job.limits.talos, job.talos() as node:
            status = await node.machine_status()
        if status.stage == "running" and status.ready:
            return True
        return f"it is {status.stage}, not ready: {'; '.join(status.unmet) or 'no reason given'}"

    fix = "look at cto node show and its console, then run cto apply again"
    await Patience(job.services.clock, 900).until(ready, where=job.node.name, fix=fix)


async def _reboot(job: NodeJob) -> None:
    """Returns when another boot of it answers."""
    async with job.limits.talos, job.talos() as node:
        before = await node.boot_id()
        await node.reboot()

    async def anew() -> bool | str:
        async with job.limits.talos, job.talos() as node:
            now = await node.boot_id()
        return True if now != before else "it was told to reboot and did not yet"

    fix = "look at its console, then run cto apply again"
    await Patience(job.services.clock, 900).until(anew, where=job.node.name, fix=fix)
