"""Step `reset`: decommissions a node: leaves etcd, wipes the system disk.

Who asked, and whether, is `app.reset`'s matter.
"""

from controller.app.context import NodeJob
from controller.app.delivery.registry import delivery_of
from controller.app.imaging import MIB, is_blank, wipe_range
from controller.app.jobs import disk_identity, run_deploy
from controller.app.steps.base import Patience, Record
from controller.app.steps.verify import Verify
from inventory.errors import FleetError, HostKeyMismatch, NodeError, RefusedError, Unreachable
from inventory.lifecycle import ClusterState, NodeState

TALOS_STATES = (NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED, NodeState.READY)
_LOOK = "look at its console; boot it from the medium if it is dark, then run cto node reset again"


class Reset:
    repeatable = False

    async def intent(self, job: NodeJob) -> Record:
        return {"disk": job.record.get("disk", {}), "was": job.state}

    async def act(self, job: NodeJob) -> Record:
        if job.state not in TALOS_STATES:
            if "disk" in job.record:
                await self._wipe_keys(job)
                await run_deploy(job, "reset", {"disk": disk_identity(job)})
            return {}
        try:
            async with job.gate.disruption:
                await _refuse_while_a_peer_is_ill(job)
                await self._order(job)
            job.reset_accepted = True
        except Unreachable:
            if await self.talos_answers(job):
                raise

        async def gone() -> bool | str:
            if await self.observe(job) is not None:
                return True
            return "neither its Talos nor the bootstrap environment says that it was wiped"

        patience = Patience(job.services.clock, 300)
        await patience.until(gone, where=job.node.name, fix=_LOOK)
        return {}

    async def _order(self, job: NodeJob) -> None:
        async with job.limits.talos, job.talos() as node:
            # Graceful leaves etcd, which the last member of a cluster can't do.
            await node.reset(graceful=await self._others(job), reboot=True)

    async def observe(self, job: NodeJob) -> Record | None:
        if job.state not in TALOS_STATES:
            if "disk" not in job.record:
                return {}
            data = {"disk": disk_identity(job)}
            wiped = not await run_deploy(job, "reset", data, dry_run=True)
            wiped = wiped and await self._keys_gone(job)
        else:
            silent = not await self.talos_answers(job)
            wiped = silent and (job.reset_accepted or await self._booted_anew(job))
        return {} if wiped else None

    @staticmethod
    def _keys(job: NodeJob) -> tuple[int, int]:
        """Offset and length of where keys may lie: around the end of the image. Length 0: nowhere."""
        size, span = int(job.record.get("image", {}).get("raw_size", 0)), delivery_of(job).span
        start = max(0, size - 2 * MIB)
        return start, min(span, int(job.record["disk"]["size"]) - start) if size else 0

    async def _wipe_keys(self, job: NodeJob) -> None:
        start, length = self._keys(job)
        if length:
            path = job.record["disk"]["path"]
            await wipe_range(job.services.ssh, job.target, path, start, length)

    async def _keys_gone(self, job: NodeJob) -> bool:
        start, length = self._keys(job)
        path = job.record["disk"]["path"]
        return not length or await is_blank(job.services.ssh, job.target, path, start, length)

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
    async def talos_answers(job: NodeJob) -> bool:
        try:
            async with job.talos() as node:
                await node.version()
        except NodeError:
            return False
        return True

    @staticmethod
    async def _others(job: NodeJob) -> bool:
        """Whether another control plane of its cluster is alive in the store."""
        rows = job.services.store.nodes(cluster=job.cluster.name)
        planes = [row for row in rows if row.role != "worker" and row.name != job.node.name]
        return job.node.role == "worker" or any(row.state is NodeState.READY for row in planes)


async def _refuse_while_a_peer_is_ill(job: NodeJob) -> None:
    """Fresh reads, just before the act, of the control planes that stay: they have to keep etcd's quorum."""
    cluster = job.services.store.cluster(job.cluster.name)
    if cluster is None or cluster.state in (ClusterState.PLANNED, ClusterState.JOINED):
        return  # etcd was never started
    ill = []
    for peer in job.peers if job.node.role != "worker" else ():
        try:
            problem = await Verify.problem(peer)
        except FleetError as error:
            problem = error.what
        if problem:
            ill.append(f"{peer.node.name} is not well ({problem})")
    if ill:
        raise RefusedError(
            f"{'; '.join(ill)}, and etcd can't spare a second member",
            where=job.node.name,
            fix="mend that first, or give up the whole cluster with --cluster",
        )
