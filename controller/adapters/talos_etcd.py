"""etcd by the Talos API: members, status, alarms, snapshot, and leaving. Judges no quorum."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from controller.adapters.talos_node import MACHINE, NodeCalls, empty
from controller.adapters.talos_snapshot import save
from controller.app.ports import EtcdMember
from controller.app.talos_port import EtcdAlarm, EtcdStatus, Snapshot
from facts.talos.messages import enum_name, message

_SNAPSHOT_SECONDS = 1800  # 8 GiB at 5 MB/s


class EtcdCalls(NodeCalls):
    async def etcd_members(self) -> Sequence[EtcdMember]:
        entry = await self._read("EtcdMemberList", message("machine.EtcdMemberListRequest")())
        return tuple(
            EtcdMember(member.id, member.hostname, tuple(member.peer_urls), member.is_learner)
            for member in entry.members
        )

    async def etcd_status(self) -> EtcdStatus:
        status = (await self._read("EtcdStatus")).member_status
        return EtcdStatus(
            member_id=status.member_id,
            leader=status.leader,
            raft_term=status.raft_term,
            raft_index=status.raft_index,
            raft_applied_index=status.raft_applied_index,
            db_size=status.db_size,
            db_size_in_use=status.db_size_in_use,
            is_learner=status.is_learner,
            errors=tuple(status.errors),
            protocol_version=status.protocol_version,
            storage_version=status.storage_version,
        )

    async def etcd_alarms(self) -> Sequence[EtcdAlarm]:
        return _alarms(await self._read("EtcdAlarmList"))

    async def etcd_disarm(self) -> Sequence[EtcdAlarm]:
        return _alarms(await self._act("EtcdAlarmDisarm", empty(), deadline=30))

    async def etcd_snapshot(self, path: Path, *, max_bytes: int = 8 << 30) -> Snapshot:
        request = message("machine.EtcdSnapshotRequest")()
        stream = self._calls.stream(f"{MACHINE}/EtcdSnapshot", request, deadline=_SNAPSHOT_SECONDS)
        async with aclosing(stream) as parts:
            return await save((part.bytes async for part in parts), path, max_bytes, node=self._node)

    async def etcd_snapshot_parts(self) -> AsyncGenerator[bytes, None]:
        request = message("machine.EtcdSnapshotRequest")()
        stream = self._calls.stream(f"{MACHINE}/EtcdSnapshot", request, deadline=_SNAPSHOT_SECONDS)
        async with aclosing(stream) as parts:
            async for part in parts:
                yield part.bytes

    async def etcd_recover(self, parts: AsyncIterator[bytes]) -> None:
        data = message("common.Data")
        requests = (data(bytes=part) async for part in parts)
        await self._calls.send(f"{MACHINE}/EtcdRecover", requests, deadline=_SNAPSHOT_SECONDS)

    async def etcd_leave(self) -> None:
        await self._act("EtcdLeaveCluster", message("machine.EtcdLeaveClusterRequest")(), deadline=60)

    async def etcd_forfeit_leadership(self) -> str:
        request = message("machine.EtcdForfeitLeadershipRequest")()
        member: str = (await self._act("EtcdForfeitLeadership", request, deadline=30)).member
        return member

    async def etcd_remove_member(self, member_id: int) -> None:
        request = message("machine.EtcdRemoveMemberByIDRequest")(member_id=member_id)
        await self._act("EtcdRemoveMemberByID", request, deadline=30)


def _alarms(entry: Any) -> tuple[EtcdAlarm, ...]:
    kind = "machine.EtcdMemberAlarm.AlarmType"
    return tuple(EtcdAlarm(one.member_id, enum_name(kind, one.alarm)) for one in entry.member_alarms)
