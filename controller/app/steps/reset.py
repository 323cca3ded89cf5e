"""Step `reset`: decommissions a node: leaves etcd, wipes the system disk.

Who asked, and whether, is `app.reset`'s matter.
"""

import hashlib

from controller.app.context import NodeJob
from controller.app.imaging import MIB, hash_range, write_bytes
from controller.app.jobs import disk_identity, run_deploy
from controller.app.steps.base import Patience, Record
from inventory.errors import HostKeyMismatch, NodeError, Unreachable
from inventory.lifecycle import NodeState

TALOS_STATES = (NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED, NodeState.READY)
CONFIG_SPAN = 24 * MIB  # from shortly before the image's end: META's end, alignment, the 16 MiB volume
_LOOK = "look at its console; boot it from the medium if it is dark, then run cto node reset again"


class Reset:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"disk": job.record.get("disk", {}), "was": job.state}

    async def act(self, job: NodeJob) -> Record:
        if job.state not in TALOS_STATES:
            if "disk" in job.record:
                await self._wipe_configuration(job)
                await run_deploy(job, "reset", {"disk": disk_identity(job)})
            return {}
        try:
            async with job.gate.disruption, job.limits.talos, job.talos() as node:
                # Graceful leaves etcd, which the last member of a cluster can't do.
                await node.reset(graceful=await self._others(job), reboot=True)
            job.reset_accepted = True
        except Unreachable:
            if await self._talos_answers(job):
                raise

        async def gone() -> bool | str:
            if await self.observe(job) is not None:
                return True
            return "neither its Talos nor the bootstrap environment says that it was wiped"

        patience = Patience(job.services.clock, 300)
        await patience.until(gone, where=job.node.name, fix=_LOOK)
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        if job.state not in TALOS_STATES:
            if "disk" not in job.record:
                return {}
            data = {"disk": disk_identity(job)}
            wiped = not await run_deploy(job, "reset", data, dry_run=True)
            wiped = wiped and await self._configuration_gone(job)
        else:
            silent = not await self._talos_answers(job)
            wiped = silent and (job.reset_accepted or await self._booted_anew(job))
        return {} if wiped else None

    @staticmethod
    def _configuration(job: NodeJob) -> tuple[int, int]:
        """Offset and length of where the keys may lie: around the end of the image. Length 0: nowhere."""
        size = int(job.record.get("image", {}).get("raw_size", 0))
        start = max(0, size - 2 * MIB)
        return start, min(CONFIG_SPAN, int(job.record["disk"]["size"]) - start) if size else 0

    async def _wipe_configuration(self, job: NodeJob) -> None:
        start, length = self._configuration(job)
        if length:
            async with job.limits.volume:
                path = job.record["disk"]["path"]
                await write_bytes(job.services.ssh, job.target, path, start, bytes(length))

    async def _configuration_gone(self, job: NodeJob) -> bool:
        start, length = self._configuration(job)
        if not length:
            return True
        found = await hash_range(job.services.ssh, job.target, job.record["disk"]["path"], start, length)
        return found == hashlib.sha256(bytes(length)).hexdigest()

    @staticmethod
    async def _booted_anew(job: NodeJob) -> bool:
        """Whether a bootstrap environment answers. Silence proves nothing: the network may be down."""
        try:
            await job.services.ssh.run(job.target, "true", deadline=10)
        except HostKeyMismatch:
            return True  # each boot of it makes a new key
        except Unreachable:
            return False
        return True

    @staticmethod
    async def _talos_answers(job: NodeJob) -> bool:
        try:
            async with job.talos() as node:
                await node.version()
        except NodeError:
            return False
        return True

    @staticmethod
    async def _others(job: NodeJob) -> bool:
        """Whether another control plane of its cluster is alive in the store."""
        planes = [
            n for n in job.fleet.nodes_of(job.cluster.name) if n.role != "worker" and n.name != job.node.name
        ]
        rows = [job.services.store.node(n.name) for n in planes]
        return job.node.role == "worker" or any(r is not None and r.state == NodeState.READY for r in rows)
