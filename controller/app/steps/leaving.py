"""The steps by which a node leaves a cluster that stays: drained, out of etcd, out of Kubernetes.

Each looks first, so that a second attempt after a crash does nothing twice. The disk of the machine is the
step `reset`'s matter. Whom and whether is decided by an operator.
"""

from urllib.parse import quote

from controller.app.context import ClusterJob, Limits, NodeJob
from controller.app.etcd_reading import LIVE, Seen, read_etcd
from controller.app.kube_port import Pod
from controller.app.snapshots import fresh
from controller.app.steps.base import Patience, Record
from controller.app.upgrade.reach import Reach
from controller.core.quorum import refuse_leave
from inventory.errors import CheckFailed, FleetError, RefusedError
from inventory.lifecycle import NodeState

_MEMBERS = (NodeState.BOOTING, *LIVE)
_DRAIN_SECONDS, _GONE_SECONDS = 300, 60


def _victim(job: ClusterJob) -> str:
    return str(job.detail["node"])


def _reach(job: ClusterJob) -> Reach:
    return Reach(job.services, job.cluster.name, Limits.default())


class DrainNode:
    """Cordons the node and evicts its pods, with the patience that disruption budgets ask for."""

    repeatable = False

    async def intent(self, job: ClusterJob) -> Record:
        return {"node": _victim(job)}

    async def act(self, job: ClusterJob) -> Record:
        name, reach, kube = _victim(job), _reach(job), job.services.kube
        if await self.observe(job) is not None:  # by an earlier run, or it was never there
            return {}
        await reach.kube(
            lambda config, host, port: kube.cordon(config, name, on=True, host=host, port=port), but=name
        )

        async def empty() -> bool | str:
            left = await _pods(job)
            held = ""
            for pod in left:
                held = await self._evicted(job, reach, pod) or held
            return held or (f"{len(left)} pods are still on it" if left else True)

        fix = "see its disruption budgets (kubectl get pdb -A), then run the command again"
        await Patience(job.services.clock, _DRAIN_SECONDS).until(empty, where=name, fix=fix)
        return {}

    @staticmethod
    async def _evicted(job: ClusterJob, reach: Reach, pod: Pod) -> str:
        if pod.deleting:
            return ""
        kube = job.services.kube
        reason = await reach.kube(
            lambda config, host, port: kube.evict(config, pod, host=host, port=port), but=_victim(job)
        )
        return f"{pod.namespace}/{pod.name} can't be evicted: {reason}" if reason else ""

    async def observe(self, job: ClusterJob) -> Record | None:
        found = await _node_object(job)
        if found is None:
            return {}
        cordoned = bool((found.get("spec") or {}).get("unschedulable"))
        return {} if cordoned and not await _pods(job) else None


async def _pods(job: ClusterJob) -> list[Pod]:
    """Those that have to go: not what every node runs, and not what its kubelet runs by itself."""
    name, kube = _victim(job), job.services.kube
    pods = await _reach(job).kube(
        lambda config, host, port: kube.pods(config, node=name, host=host, port=port), but=name
    )
    return [pod for pod in pods if not pod.mirror and pod.controller != "DaemonSet" and not pod.finished]


async def _node_object(job: ClusterJob) -> Record | None:
    path, kube = _path(job), job.services.kube
    return await _reach(job).kube(
        lambda config, host, port: kube.get_object(config, path, host=host, port=port), but=_victim(job)
    )


def _path(job: ClusterJob) -> str:
    return f"/api/v1/nodes/{quote(_victim(job), safe='')}"


class RemoveMember:
    """Out of etcd: by itself if it lives, by the others if not. Guarded by reads that were just made."""

    repeatable = False

    async def intent(self, job: ClusterJob) -> Record:
        return {"node": _victim(job), "dead": bool(job.detail["dead"])}

    async def act(self, job: ClusterJob) -> Record:
        name, dead = _victim(job), bool(job.detail["dead"])
        if (await _read(job)).id_of(name) == 0:
            return {}
        await fresh(job.services, job.cluster.name, f"before {name} leaves etcd")
        own = None if dead else next((m for m in job.members if m.node.name == name), None)
        if own is not None:
            async with own.talos() as node:
                await node.etcd_forfeit_leadership()
        seen = await _read(job)
        reason = refuse_leave(name, seen.reading(job.services), dead=dead)
        if reason:
            raise RefusedError(reason, where=name, fix="mend that first; see cto cluster show")
        await self._leave(job, own, seen.id_of(name))

        async def gone() -> bool | str:
            return True if await self.observe(job) is not None else "etcd still lists it"

        fix = "see cto events; run the command again"
        await Patience(job.services.clock, _GONE_SECONDS).until(gone, where=name, fix=fix)
        return {}

    @staticmethod
    async def _leave(job: ClusterJob, own: NodeJob | None, member: int) -> None:
        if own is not None:
            async with own.talos() as node:
                await node.etcd_leave()
            return
        failed = ""
        for peer in _peers(job):
            try:
                async with peer.talos() as node:
                    await node.etcd_remove_member(member)
            except FleetError as error:
                failed = error.what
            else:
                return
        raise CheckFailed(f"no member removed it: {failed}", where=_victim(job), fix="run the command again")

    async def observe(self, job: ClusterJob) -> Record | None:
        seen = await _read(job)
        return None if seen.id_of(_victim(job)) else {}


async def _read(job: ClusterJob) -> Seen:
    planes = [m for m in job.members if m.node.role != "worker" and m.state in _MEMBERS]
    seen = await read_etcd(job.services, planes)
    if not seen.members:
        raise CheckFailed(
            "no control plane lists the members of etcd",
            where=job.cluster.name,
            fix="see cto cluster show; without a quorum: cto cluster recover",
        )
    return seen


def _peers(job: ClusterJob) -> list[NodeJob]:
    return [m for m in job.control_planes if m.node.name != _victim(job) and m.state in LIVE]


class ForgetNode:
    """Deletes the Node object, which a machine that is gone leaves behind."""

    repeatable = False

    async def intent(self, job: ClusterJob) -> Record:
        return {"node": _victim(job)}

    async def act(self, job: ClusterJob) -> Record:
        path, kube = _path(job), job.services.kube
        await _reach(job).kube(
            lambda config, host, port: kube.delete_object(config, path, host=host, port=port),
            but=_victim(job),
        )
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        return {} if await _node_object(job) is None else None
