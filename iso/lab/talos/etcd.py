"""etcd on one lab control plane: joining, bootstrap, leaving, and what an operator asks of it.

The membership itself, the leader and the alarms are the cluster's (`cluster`). Stores no keys and values: a
snapshot is one that a real etcd made once.
"""

import asyncio
import contextlib
import functools
import gzip
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from iso.lab.talos import storage
from iso.lab.talos.cluster import Cluster, Member
from iso.lab.talos.config import MachineConfig

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance


class EtcdService:
    def __init__(self, node: "TalosInstance") -> None:
        self._node = node
        self.member: Member | None = None
        self.uploaded = b""  # a snapshot to be recovered from

    async def run(self, config: MachineConfig) -> None:
        """Until it runs; joining waits for a cluster to join."""
        node, cluster = self._node, self._node.cluster_of(config)
        node.service("etcd", "Preparing/unknown")
        known = (storage.read_record(node.disk, "EPHEMERAL") or {}).get("etcd")
        if known is not None:
            cluster.restore(known)
            if known["id"] not in cluster.members:
                node.service("etcd", "Failed/unhealthy")  # it was removed: its data is of no use
                await asyncio.Event().wait()
            self._belong(cluster, cluster.members[known["id"]])
        else:
            for old in [one.id for one in cluster.members.values() if one.address == node.machine.address]:
                cluster.lose(old)  # this disk held its data, and was written anew
            await node.shared.signal.until(lambda: self.member is not None or cluster.has_quorum())
        async with contextlib.AsyncExitStack() as joining:
            if self.member is None:
                await joining.enter_async_context(cluster.joining)
                await node.shared.signal.until(cluster.has_quorum)  # it may be gone since we waited for it
                self._belong(cluster, cluster.add_member(node.hostname, node.machine.address, learner=True))
                cluster.replicate()
            await self._start(cluster, known["id"] if known else 0)
        node.machine.log("etcd-running")
        node.shared.signal.fire()
        node.spawn(self._watch(cluster))

    async def _start(self, cluster: Cluster, known: int) -> None:
        node = self._node
        await node.shared.clock.sleep(node.shared.timings.etcd)
        # Looked up by id: a membership read meanwhile from another disk made new objects.
        member = self.member = cluster.members[known] if known else self.member
        if member is None:
            return
        member.running = True
        node.service("etcd", "Running/healthy")
        if member.learner:
            await node.shared.clock.sleep(node.shared.timings.promote)
            await node.shared.signal.until(cluster.has_quorum)  # who else could agree on it?
            cluster.promote(member)
            self.told("promoted", member.hostname, cluster)

    async def _watch(self, cluster: Cluster) -> None:
        """Somebody may remove this member."""
        while (member := self.member) is not None:
            id_ = member.id
            await self._node.shared.signal.until(
                lambda id_=id_: self.member is None or id_ not in cluster.members  # type: ignore[misc]
            )
            if self.member is not None:
                self._gone("Failed/unhealthy")

    def _belong(self, cluster: Cluster, member: Member) -> None:
        """This node holds the etcd data of `member` from now on."""
        self.member = member
        disk, faults = self._node.disk, self._node.machine.faults
        cluster.replicas[member.id] = lambda: storage.write_record(
            disk, "EPHEMERAL", cluster.as_record(member)
        )
        cluster.sick[member.id] = lambda: faults.has("etcd-unhealthy")

    def bootstrap(self) -> None:
        """This node is the first member."""
        node = self._node
        if node.cluster is not None and node.config is not None:
            member = node.cluster.add_member(node.hostname, node.machine.address, learner=False)
            self._belong(node.cluster, member)
            node.cluster.replicate()
            node.machine.log("etcd-bootstrap", member=f"{member.id:016x}")

    def told(self, change: str, member: str, cluster: Cluster) -> None:
        """The log says what became of a member, who votes since then, and who of these is well."""
        voters = [one for one in cluster.members.values() if not one.learner]
        well = [one.hostname for one in voters if one.running and not cluster.unhealthy(one)]
        every = sorted(one.hostname for one in voters)
        log = self._node.machine.log
        log("etcd-changed", change=change, member=member, voters=every, well=sorted(well))

    def last(self) -> bool:
        """Is this the only member?"""
        cluster = self._node.cluster
        return cluster is not None and self.member is not None and cluster.members.keys() == {self.member.id}

    def leave(self) -> None:
        """Its data goes, too: at the next boot it joins anew."""
        cluster, member = self._node.cluster, self.member
        if cluster is None or member is None:
            return
        self._gone("Finished/unknown")
        cluster.remove_member(member.id)
        self.told("left", member.hostname, cluster)
        storage.write_record(self._node.disk, "EPHEMERAL", {})

    def lose(self) -> None:
        """Its data was wiped without leaving: the others still count it."""
        if self._node.cluster is not None and self.member is not None:
            member, cluster = self.member, self._node.cluster
            self._gone("Finished/unknown")
            cluster.lose(member.id)
            self.told("lost", member.hostname, cluster)

    def _gone(self, state: str) -> None:
        if self.member is not None:
            self.member.running = False
            self.member = None
        self._node.service("etcd", state)

    def stop(self) -> None:
        """The machine goes down; the member stays one."""
        if self.member is not None and self._node.cluster is not None:
            self.member.running = False
            self._node.cluster.replicas.pop(self.member.id, None)
            self.told("stopped", self.member.hostname, self._node.cluster)

    def snapshot(self) -> bytes:
        """What the cluster was recovered from, if it was; else a database that a real etcd made."""
        cluster = self._node.cluster
        return (cluster.database if cluster is not None else b"") or _captured()

    @property
    def has_data(self) -> bool:
        """Is there anything in this node's own data directory?"""
        record = storage.read_record(self._node.disk, "EPHEMERAL") or {}
        return self.member is not None or record.get("etcd") is not None

    def recover(self) -> None:
        """This node is the first member of the cluster again; what the others have counts no more."""
        cluster, node = self._node.cluster, self._node
        if cluster is not None:
            cluster.begin_anew(self.uploaded)
            node.machine.log("etcd-recovered", sha256=hashlib.sha256(self.uploaded).hexdigest())
            self.uploaded = b""
            self.bootstrap()


@functools.cache
def _captured() -> bytes:
    """Etcd 3.7.3, twenty keys with some history (tests/contract/etcd makes such)."""
    packed = resources.files("iso.lab.talos").joinpath("etcd_snapshot.db.gz").read_bytes()
    return gzip.decompress(packed)
