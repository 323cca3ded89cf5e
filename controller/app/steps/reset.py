"""Step `reset`: decommissions a node: leaves etcd, wipes the system disk.

Who asked, and whether, is `app.reset`'s matter.
"""

from controller.app.context import NodeJob
from controller.app.jobs import disk_identity, run_deploy
from controller.app.steps.base import Patience, Record
from inventory.errors import NodeError, Unreachable
from inventory.lifecycle import NodeState

TALOS_STATES = (NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED, NodeState.READY)


class Reset:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"disk": job.record.get("disk", {}), "was": job.state}

    async def act(self, job: NodeJob) -> Record:
        if job.state not in TALOS_STATES:
            if "disk" in job.record:
                await run_deploy(job, "reset", {"disk": disk_identity(job)})
            return {}
        async with job.gate.disruption, job.limits.talos, job.talos() as node:
            # Graceful leaves etcd, which the last member of a cluster can't do.
            await node.reset(graceful=await self._others(job), reboot=True)

        async def gone() -> bool | str:
            return (
                True
                if await self.observe(job) is not None
                else "Talos still answers with the cluster's certificates"
            )

        patience = Patience(job.services.clock, 300)
        await patience.until(gone, where=job.node.name, fix="look at its console; run cto node reset again")
        return {}

    async def observe(self, job: NodeJob) -> Record | None:
        if job.state not in TALOS_STATES:
            if "disk" not in job.record:
                return {}
            data = {"disk": disk_identity(job)}
            return None if await run_deploy(job, "reset", data, dry_run=True) else {}
        try:
            async with job.talos() as node:
                await node.version()
        except (Unreachable, NodeError):
            return {}
        return None

    @staticmethod
    async def _others(job: NodeJob) -> bool:
        """Whether another control plane of its cluster is alive in the store."""
        planes = [
            n for n in job.fleet.nodes_of(job.cluster.name) if n.role != "worker" and n.name != job.node.name
        ]
        rows = [job.services.store.node(n.name) for n in planes]
        return job.node.role == "worker" or any(r is not None and r.state == NodeState.READY for r in rows)
