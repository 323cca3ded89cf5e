"""The etcd calls of MachineService on one lab Talos."""

import hashlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from facts.talos.messages import enum_number, message
from iso.lab.talos.cluster import Cluster, Member
from iso.lab.talos.replies import chunks, reply

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance

_ALARM = "machine.EtcdMemberAlarm.AlarmType"
_DB_SIZE = 8 << 20


class EtcdCalls:
    """One method for each call: request message in, response message out."""

    def __init__(self, instance: "TalosInstance") -> None:
        self._node = instance

    async def bootstrap(self, request: Any) -> Any:
        node = self._node
        if node.config is None or not node.config.control_plane:
            raise GRPCError(Status.UNIMPLEMENTED, "bootstrap is only available on control plane nodes")
        started = node.cluster is not None and node.cluster.bootstrapped and not request.recover_etcd
        if started or node.etcd.has_data:
            raise GRPCError(Status.ALREADY_EXISTS, "etcd data directory is not empty")
        if not node.services.get("etcd", "").startswith("Preparing"):
            raise GRPCError(Status.FAILED_PRECONDITION, "bootstrap is not available yet")
        if not node.time_in_sync():
            raise GRPCError(Status.FAILED_PRECONDITION, "time is not in sync yet")
        if request.recover_etcd:
            self._restorable(request)
            node.etcd.recover()
        else:
            node.etcd.bootstrap()
        return reply("machine.BootstrapResponse", message("machine.Bootstrap")())

    def _restorable(self, request: Any) -> None:
        """As etcdutl looks at a snapshot before it restores one."""
        data = self._node.etcd.uploaded
        if not data:
            raise GRPCError(Status.FAILED_PRECONDITION, "no etcd snapshot was uploaded")
        body, total = data[:-32], data[-32:]
        if not request.recover_skip_hash_check and hashlib.sha256(body).digest() != total:
            raise GRPCError(Status.UNKNOWN, "snapshot missing hash or expected sha256 does not match")

    async def recover(self, parts: AsyncIterator[Any]) -> Any:
        node = self._node
        if node.config is None or not node.config.control_plane:
            raise GRPCError(Status.UNIMPLEMENTED, "recover is only available on control plane nodes")
        if not node.services.get("etcd", "").startswith("Preparing"):
            raise GRPCError(Status.FAILED_PRECONDITION, "etcd service is not ready for recovery yet")
        received = bytearray()
        async for part in parts:
            received += part.bytes
        node.etcd.uploaded = bytes(received)
        return reply("machine.EtcdRecoverResponse", message("machine.EtcdRecover")())

    async def member_list(self, _: Any) -> Any:
        cluster, _member = self._running()
        entry = message("machine.EtcdMembers")()
        for member in cluster.members.values():
            entry.members.add(
                id=member.id,
                hostname=member.hostname,
                peer_urls=[f"https://{member.address}:2380"],
                client_urls=[f"https://{member.address}:2379"],
                is_learner=member.learner,
            )
        return reply("machine.EtcdMemberListResponse", entry)

    async def status(self, _: Any) -> Any:
        cluster, member = self._running()
        self._raise_alarm(cluster, member)
        entry = message("machine.EtcdStatus")()
        status = entry.member_status
        status.member_id, status.is_learner = member.id, member.learner
        status.leader, status.raft_term = cluster.leader, cluster.raft_term
        status.raft_index = status.raft_applied_index = cluster.revision
        status.protocol_version, status.storage_version = "3.6.4", "3.6.0"
        status.db_size, status.db_size_in_use = _DB_SIZE, _DB_SIZE // 2
        if member.id in cluster.alarms:
            status.errors.append(f"memberID:{member.id} alarm:{cluster.alarms[member.id]}")
        if cluster.unhealthy(member):
            status.errors.append("etcdserver: request timed out")
        if not cluster.leader:
            status.errors.append("etcdserver: no leader")
        return reply("machine.EtcdStatusResponse", entry)

    async def alarm_list(self, _: Any) -> Any:
        cluster, member = self._running()
        self._raise_alarm(cluster, member)
        return reply("machine.EtcdAlarmListResponse", _alarms("machine.EtcdAlarm", cluster))

    async def alarm_disarm(self, _: Any) -> Any:
        cluster, _member = self._running()
        entry = _alarms("machine.EtcdAlarmDisarm", cluster)
        cluster.alarms.clear()
        return reply("machine.EtcdAlarmDisarmResponse", entry)

    def _raise_alarm(self, cluster: Cluster, member: Member) -> None:
        """A fault shows when somebody looks."""
        fault = self._node.machine.faults.take("etcd-alarm")
        if fault is not None:
            cluster.alarms[member.id] = str(fault.get("alarm", "NOSPACE"))

    async def defragment(self, _: Any) -> Any:
        self._running()
        return reply("machine.EtcdDefragmentResponse", message("machine.EtcdDefragment")())

    async def snapshot(self, _: Any) -> AsyncIterator[Any]:
        self._running()
        for part in chunks(self._node.etcd.snapshot()):
            yield part

    async def leave(self, _: Any) -> Any:
        cluster, _member = self._running()
        if self._node.etcd.last():
            raise GRPCError(Status.FAILED_PRECONDITION, "can't leave etcd: this is its last member")
        _agreed(cluster)
        self._node.etcd.leave()
        return reply("machine.EtcdLeaveClusterResponse", message("machine.EtcdLeaveCluster")())

    async def forfeit_leadership(self, _: Any) -> Any:
        cluster, member = self._running()
        if cluster.leader == member.id and len(cluster.members) == 1:
            raise GRPCError(Status.UNKNOWN, "failed to find a member to move the leadership to")
        new = cluster.forfeit(member.id)
        entry = message("machine.EtcdForfeitLeadership")(member=f"{new:x}" if new else "")
        return reply("machine.EtcdForfeitLeadershipResponse", entry)

    async def remove_member(self, request: Any) -> Any:
        cluster, member = self._running()
        if request.member_id not in cluster.members:
            raise GRPCError(Status.NOT_FOUND, "etcdserver: member not found")
        if request.member_id == member.id and self._node.etcd.last():
            raise GRPCError(Status.FAILED_PRECONDITION, "can't remove the last member of etcd")
        _agreed(cluster)
        gone = cluster.members[request.member_id].hostname
        cluster.remove_member(request.member_id)
        self._node.etcd.told("removed", gone, cluster)
        return reply("machine.EtcdRemoveMemberByIDResponse", message("machine.EtcdRemoveMemberByID")())

    def _running(self) -> tuple[Cluster, Member]:
        node = self._node
        if node.config is None or not node.config.control_plane:
            raise GRPCError(Status.UNIMPLEMENTED, "etcd is only available on control plane nodes")
        if node.cluster is None or node.etcd.member is None or not node.etcd.member.running:
            raise GRPCError(Status.UNAVAILABLE, "etcd is not running")
        return node.cluster, node.etcd.member


def _agreed(cluster: Cluster) -> None:
    """The membership changes only if a majority of the voters agrees."""
    if not cluster.has_quorum():
        raise GRPCError(Status.UNAVAILABLE, "etcdserver: no leader")


def _alarms(name: str, cluster: Cluster) -> Any:
    entry = message(name)()
    for id_, alarm in cluster.alarms.items():
        entry.member_alarms.add(member_id=id_, alarm=enum_number(_ALARM, alarm))
    return entry
