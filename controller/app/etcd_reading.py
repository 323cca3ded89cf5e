"""One fresh read of a cluster's etcd and its control planes, from every one that should be a member.

Never cached: the answer says how old it is, and `core.quorum` refuses one that is older than a few seconds.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.app.context import NodeJob
from controller.app.ports import EtcdMember
from controller.app.services import Services
from controller.app.steps.verify import Verify
from controller.app.talos_port import EtcdStatus
from controller.core.quorum import MemberRead, Reading
from inventory.errors import FleetError, RefusedError
from inventory.lifecycle import NodeState

QUOTA = 2 << 30  # bytes; etcd's default for its database, which Talos leaves as it is
LIVE = (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one control plane said. `problem`: why it, or its etcd, is not well."""

    name: str
    problem: str = ""
    members: tuple[EtcdMember, ...] = ()
    status: EtcdStatus | None = None
    alarms: tuple[tuple[int, str], ...] = ()
    seconds: float | None = None  # that the read of its etcd took


@dataclass(frozen=True, slots=True)
class Seen:
    """Every answer, and the members as those that agree list them."""

    at: float  # monotonic, when the read began
    answers: tuple[Answer, ...]
    members: tuple[EtcdMember, ...]
    agree: int

    def reading(self, services: Services) -> Reading:
        """For a decision that is made now."""
        by_name = {answer.name: answer for answer in self.answers}
        top = max((a.status.raft_index for a in self.answers if a.status), default=0)
        members = [_member(one, by_name.get(one.hostname), top) for one in self.members]
        return Reading(
            age=services.clock.monotonic() - self.at,
            endpoints=self.agree,
            members=members,
            expected=len(self.answers),
        )

    def id_of(self, name: str) -> int:
        """The member id of a node; 0 if it is no member."""
        return next((m.id for m in self.members if m.hostname == name), 0)


async def read_etcd(services: Services, planes: Sequence[NodeJob]) -> Seen:
    """`planes`: every control plane that should be a member. Never raises for what they do."""
    began = services.clock.monotonic()
    answers = await asyncio.gather(*(_ask(services, job) for job in planes))
    lists = [answer.members for answer in answers if answer.members]
    views = [frozenset((m.id, m.is_learner) for m in one) for one in lists]
    most = max(views, key=views.count, default=frozenset())
    members = next((one for one, view in zip(lists, views, strict=True) if view == most), ())
    return Seen(began, tuple(answers), members, views.count(most) if views else 0)


async def _ask(services: Services, job: NodeJob) -> Answer:
    name = job.node.name
    try:
        async with asyncio.timeout(4), job.talos() as node:
            began = services.clock.monotonic()
            members = tuple(await node.etcd_members())
            status = await node.etcd_status()
            seconds = services.clock.monotonic() - began
            alarms = tuple((one.member_id, one.alarm) for one in await node.etcd_alarms())
            problem = await Verify.problem_of(node, job.record)
    except FleetError as error:
        return Answer(name, error.what)
    except TimeoutError:
        return Answer(name, "no answer in time")
    return Answer(name, problem, members, status, alarms, seconds)


def _member(member: EtcdMember, answer: Answer | None, top: int) -> MemberRead:
    if answer is None or answer.status is None:
        return MemberRead(member.hostname, started=False, learner=member.is_learner, read_seconds=None)
    status = answer.status
    alarms = [alarm for id_, alarm in answer.alarms if id_ == member.id and alarm != "NONE"]
    healthy = not status.errors and status.leader
    return MemberRead(
        member.hostname,
        started=status.member_id == member.id,
        learner=member.is_learner or status.is_learner,
        read_seconds=answer.seconds if healthy else None,
        alarms=tuple(alarms),
        lag=max(0, top - status.raft_applied_index),
        free_percent=max(0, 100 - status.db_size * 100 // QUOTA),
        busy=bool(answer.problem),
    )


class Sign(StrEnum):
    """What one control plane says of etcd's quorum, without needing one to say it."""

    LED = "led"  # its member knows a leader
    NONE = "none"  # its member knows none, or no etcd runs there
    UNKNOWN = "unknown"  # an etcd runs there that can't be asked
    SILENT = "silent"  # the machine does not answer


async def signs(planes: Sequence[NodeJob]) -> Mapping[str, Sign]:
    """By node. Only its own member is asked, since a list of members needs the quorum that may be lost."""
    found = await asyncio.gather(*map(_sign, planes))
    return {job.node.name: sign for job, sign in zip(planes, found, strict=True)}


async def _sign(job: NodeJob) -> Sign:
    try:
        async with asyncio.timeout(8), job.talos() as node:
            if not (await node.services()).get("etcd", "").startswith("Running"):
                return Sign.NONE
            try:
                status = await node.etcd_status()
            except FleetError:
                return Sign.UNKNOWN
    except (FleetError, TimeoutError):
        return Sign.SILENT
    return Sign.LED if status.leader and not status.errors else Sign.NONE


def refuse_with_quorum(found: Mapping[str, Sign], cluster: str) -> None:
    """Nothing is thrown away that works, or that may."""
    led = [name for name, sign in found.items() if sign is Sign.LED]
    if led:
        raise RefusedError(
            f"etcd has a quorum: {', '.join(led)} knows a leader",
            where=cluster,
            fix="replace what is dead: cto node replace OLD --with NEW --dead",
        )
    unknown = [name for name, sign in found.items() if sign is Sign.UNKNOWN]
    if unknown:
        raise RefusedError(
            f"whether etcd has a quorum can't be told: etcd runs on {', '.join(unknown)} and does not answer",
            where=cluster,
            fix=f"look at it: talosctl -n {unknown[0]} etcd status; then run the command again",
        )
