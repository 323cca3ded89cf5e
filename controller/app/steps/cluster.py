"""The four steps of a cluster's life.

None of them touches a disk; `bootstrap` is the only one that starts something.
"""

from collections.abc import Sequence

from controller.app.access import keep_access
from controller.app.context import ClusterJob, NodeJob
from controller.app.ports import EtcdMember
from controller.app.steps.base import Patience, Record
from inventory.errors import CheckFailed, FleetError
from inventory.lifecycle import NodeState
from inventory.wording import count

_JOINED = (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)
_AGAIN = "see cto events and the nodes' consoles, then run cto apply again"


class AwaitControlPlane:
    repeatable = True

    async def intent(self, job: ClusterJob) -> Record:  # noqa: ARG002 - the contract of a step
        return {}

    async def act(self, job: ClusterJob) -> Record:
        await job.gate.wait(job.gate.first_joined)
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        return {"first": _first(job).node.name}


class Bootstrap:
    """etcd's first start, exactly once. After a crash the members are read before the call is made again."""

    repeatable = False

    async def intent(self, job: ClusterJob) -> Record:
        return {"on": job.row.record.get("first", _first(job).node.name)}

    async def act(self, job: ClusterJob) -> Record:
        # The node that was chosen first stays chosen: a second one must never be bootstrapped.
        name = job.row.record.get("first")
        chosen = next((m for m in job.control_planes if m.node.name == name), _first(job))

        async def started() -> bool | str:
            if await _members(job):
                return True
            async with chosen.talos() as node:
                await node.bootstrap()
            return True

        patience = Patience(job.services.clock, 600)
        await patience.until(
            started,
            where=job.cluster.name,
            fix="check that its time servers answer (etcd waits for time), then run cto apply again",
        )

        async def listed() -> bool | str:
            return True if await _members(job) else "etcd lists no members yet"

        await Patience(job.services.clock, 300).until(listed, where=job.cluster.name, fix=_AGAIN)
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        members = await _members(job)
        return {"etcd": [m.hostname for m in members]} if members else None


class FetchAccess:
    repeatable = True

    async def intent(self, job: ClusterJob) -> Record:  # noqa: ARG002 - the contract of a step
        return {}

    async def act(self, job: ClusterJob) -> Record:
        async def fetched() -> bytes | str:
            async with _first(job).talos() as node:
                return await node.kubeconfig()

        patience = Patience(job.services.clock, 300)
        kubeconfig = await patience.until(fetched, where=job.cluster.name, fix=_AGAIN)
        keep_access(job.services, job.cluster.name, kubeconfig)
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        return {} if job.services.store.has_secret(f"cluster/{job.cluster.name}/kubeconfig") else None


class VerifyCluster:
    repeatable = True

    async def intent(self, job: ClusterJob) -> Record:  # noqa: ARG002 - the contract of a step
        return {}

    async def act(self, job: ClusterJob) -> Record:
        await job.gate.wait(job.gate.members_done)

        async def good() -> bool | str:
            return await self.problem(job) or True

        await Patience(job.services.clock, 600).until(good, where=job.cluster.name, fix=_AGAIN)
        return {}

    async def observe(self, job: ClusterJob) -> Record | None:
        if await self.problem(job):
            return None
        return {"verified_at": job.services.clock.now().isoformat()}

    @staticmethod
    async def problem(job: ClusterJob) -> str:
        """Why the cluster is not as declared; empty if it is. Reads etcd and Kubernetes afresh."""
        stored = (job.services.store.node(name) for name in job.cluster.nodes)
        rows = {row.name: row for row in stored if row is not None}
        missing = [n for n in job.cluster.nodes if n not in rows or rows[n].state != NodeState.READY]
        if missing:
            return f"not ready: {', '.join(missing)}"
        # One that the site files no longer name is a member until it is removed.
        known = job.services.store.nodes(cluster=job.cluster.name)
        planes = sum(1 for row in known if row.role != "worker" and row.state in _JOINED)
        members = await _members(job)
        if len(members) != planes or any(m.is_learner for m in members):
            learners = sum(m.is_learner for m in members)
            return f"etcd has {len(members)} of {planes} members, {learners} of them learners"
        kubeconfig = job.services.store.get_secret(f"cluster/{job.cluster.name}/kubeconfig")
        first = _first(job)
        async with job.services.ssh.forward(first.target, 6443) as (host, port):
            nodes = {n.name: n for n in await job.services.kube.nodes(kubeconfig, host=host, port=port)}
            absent = [n for n in job.cluster.nodes if n not in nodes or not nodes[n].ready]
            if absent:
                return f"not Ready in Kubernetes: {', '.join(absent)}"
            return await _pod_network(job, kubeconfig, host, port)


async def _pod_network(job: ClusterJob, kubeconfig: bytes, host: str, port: int) -> str:
    """Nodes may be Ready by another pod network than the declared one."""
    if job.cluster.settings.get("cni") != "cilium":
        return ""
    found = await job.services.kube.daemon_sets(kubeconfig, "kube-system", host=host, port=port)
    if "cilium" not in found:
        return "the nodes are Ready, but their pod network is not Cilium: kube-system has no DaemonSet cilium"
    ready, wanted = found["cilium"]
    return f"Cilium is ready on {ready} of {count(wanted, 'node')}" if ready < wanted else ""


def _first(job: ClusterJob) -> NodeJob:
    joined = [m for m in job.control_planes if m.state in _JOINED]
    if not joined:
        raise CheckFailed("no control plane answers", where=job.cluster.name, fix=_AGAIN)
    return joined[0]


async def _members(job: ClusterJob) -> Sequence[EtcdMember]:
    """Etcd's members as the first control plane that can tell lists them; empty if none can."""
    for member in (m for m in job.control_planes if m.state in _JOINED):
        try:
            async with member.talos() as node:
                found = await node.etcd_members()
        except FleetError:
            continue  # another control plane may know; nobody knowing is an answer too
        if found:
            return found
    return ()
