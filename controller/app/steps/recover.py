"""Step `recover`: etcd starts again from a snapshot. Refuses while there is a quorum."""

from pathlib import Path
from typing import Any

from controller.app.context import ClusterJob, NodeJob
from controller.app.etcd_reading import Sign, read_etcd, refuse_with_quorum, signs
from controller.app.snapshots import open_snapshot
from controller.app.steps.base import Patience, Record
from inventory.errors import CheckFailed, FleetError, RefusedError

_SECONDS = 600
_AGAIN = "look at its console; then run the command again"


class Recover:
    repeatable = False

    async def intent(self, job: ClusterJob) -> Record:
        return {key: job.detail[key] for key in ("snapshot", "sha256", "nodes", "silent")}

    async def act(self, job: ClusterJob) -> Record:
        planes = _answering(job)
        refuse_with_quorum(await signs(planes), job.cluster.name)
        for plane in planes:
            await self._emptied(plane)
        first = planes[0]
        with open_snapshot(job.services, Path(job.detail["snapshot"])) as opened:
            if opened.inspect().sha256 != job.detail["sha256"]:
                what = "the snapshot is another one than was confirmed"
                raise RefusedError(
                    what, where=job.cluster.name, fix="run the command again and read its plan"
                )
            async with first.talos() as node:
                await node.etcd_recover(opened.parts())
        async with first.talos() as node:
            await node.bootstrap(recover=True)
        job.services.store.event("EtcdRecovered", f"node/{first.node.name}", "etcd starts from the snapshot")

        async def whole() -> bool | str:
            seen = await read_etcd(job.services, planes)
            voters = {m.hostname for m in seen.members if not m.is_learner}
            missing = [p.node.name for p in planes if p.node.name not in voters]
            return f"not yet back in etcd: {', '.join(missing)}" if missing else True

        await Patience(job.services.clock, _SECONDS).until(whole, where=job.cluster.name, fix=_AGAIN)
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        """The first one leads, or follows a leader: from there the others join by themselves."""
        planes = _answering(job)
        led = (await signs(planes[:1]))[planes[0].node.name] is Sign.LED
        return {"recovered_from": job.detail["sha256"]} if led else None

    async def _emptied(self, job: NodeJob) -> None:
        """Without etcd data and waiting for a cluster; one that is so already is left alone."""
        if await _waits(job):
            return
        async with job.talos() as node:
            await node.reset(graceful=False, reboot=True, partitions=("EPHEMERAL",))

        async def empty() -> bool | str:
            return True if await _waits(job) else "its etcd does not wait for a cluster yet"

        await Patience(job.services.clock, _SECONDS).until(empty, where=job.node.name, fix=_AGAIN)


def _answering(job: ClusterJob) -> list[NodeJob]:
    """In the order that was confirmed: the first is the one that starts."""
    members: dict[str, Any] = {m.node.name: m for m in job.members}
    found = [members[name] for name in job.detail["nodes"] if name in members]
    if not found:
        raise CheckFailed("none of its control planes is known", where=job.cluster.name, fix=_AGAIN)
    return found


async def _waits(job: NodeJob) -> bool:
    try:
        async with job.talos() as node:
            return (await node.services()).get("etcd", "").startswith("Preparing")
    except FleetError:
        return False
