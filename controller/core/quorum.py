"""May a control plane be disrupted now? Decided from fresh reads that the caller just made.

etcd of n members works while ⌊n/2⌋+1 of them do: the floor, which holds for every act. Planned work is
stricter than that: it waits until every *other* member is well. Reads nothing itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

FRESH_SECONDS = 5.0
READ_SECONDS = 15.0
MAX_LAG = 1000  # entries applied behind
MIN_FREE_PERCENT = 20  # of the database quota


@dataclass(frozen=True, slots=True)
class Member:
    """One etcd member as it was just read. `well`: started, its machine ready, nothing under way."""

    name: str
    well: bool
    learner: bool = False


@dataclass(frozen=True, slots=True)
class MemberRead:
    """One etcd member in full. `busy`: its node is cordoned, draining, rebooting or being updated."""

    name: str
    started: bool
    learner: bool = False
    read_seconds: float | None = 0.0  # of a linearizable read; None = no answer
    alarms: tuple[str, ...] = ()
    lag: int = 0
    free_percent: int = 100
    busy: bool = False

    @property
    def problem(self) -> str:
        """Why it is not well; empty = it is."""
        if not self.started:
            return "is not started"
        if self.read_seconds is None or self.read_seconds > READ_SECONDS:
            return "does not answer a read"
        if self.alarms:
            return f"raises {', '.join(self.alarms)}"
        if self.lag >= MAX_LAG:
            return f"is {self.lag} entries behind"
        if self.free_percent < MIN_FREE_PERCENT:
            return f"has {self.free_percent} % of its database quota left"
        return "is cordoned, rebooting or being updated" if self.busy else ""


class Purpose(StrEnum):
    PLANNED = "planned"
    REMEDY = "remedy"  # repair or rollback


@dataclass(frozen=True, slots=True)
class Reading:
    """One read of an etcd cluster: how old it is, how many endpoints were asked and agree, the members."""

    age: float
    endpoints: int
    members: Sequence[MemberRead]
    expected: int  # control planes that the fleet knows of


def refuse_disruption(victim: str, members: Sequence[Member], *, accept_downtime: bool) -> str:
    """Why `victim` must not be disrupted for planned work; empty if it may.

    `accept_downtime`: the operator saw and accepted that a cluster with one control plane is away meanwhile.
    """
    voters = [member for member in members if not member.learner]
    size = len(voters)
    learners = [member.name for member in members if member.learner]
    if learners:
        return f"{', '.join(learners)} still joins etcd"
    if size == 1:
        return "" if accept_downtime else "it is the only control plane: the cluster would be away meanwhile"
    ill = [member.name for member in voters if not member.well and member.name != victim]
    if ill:
        return f"{', '.join(ill)} is not well, and etcd can't spare a second member"
    if size - 1 < size // 2 + 1:
        return f"etcd of {size} members needs all of them: it would lose its quorum"
    return ""


def guard(
    victim: str,
    reading: Reading,
    *,
    purpose: Purpose = Purpose.PLANNED,
    in_flight: Collection[str] = (),
    accept_downtime: bool = False,
) -> str:
    """Why `victim` must not be upgraded, rebooted, rolled back or reset now; empty if it may.

    `in_flight`: nodes of the cluster on which something is under way, whatever etcd says of them.
    """
    stale = _unusable(victim, reading, purpose)
    if stale:
        return stale
    well = {m.name for m in reading.members if not m.problem and m.name not in in_flight}
    others = [m for m in reading.members if m.name != victim and m.name not in well]
    size = len(reading.members)
    if purpose is Purpose.REMEDY:
        # Five members could spare two. But one disruption at a time is all that a cluster gets.
        flying = next((m.name for m in others if m.name in in_flight), "")
        if flying:
            return f"{flying} has something under way, and a cluster has one disruption at a time"
        return "" if size == 1 else _floor(size, len(well - {victim}))
    if size == 1:
        return "" if accept_downtime else "it is the only control plane: the cluster would be away meanwhile"
    if others:
        first = others[0]
        said = first.problem or "has something under way"
        return f"{first.name} {said}, and planned work waits until every other member is well"
    return _floor(size, size - 1)


def _floor(size: int, left: int) -> str:
    needed = size // 2 + 1
    if left >= needed:
        return ""
    return f"etcd of {size} members needs {needed}, and {left} would be left: it would lose its quorum"


def _unusable(victim: str, reading: Reading, purpose: Purpose) -> str:
    """Why nothing can be decided from this reading."""
    members = reading.members
    if not 0 <= reading.age <= FRESH_SECONDS:
        return f"the last read is {reading.age:.0f} s old; {FRESH_SECONDS:.0f} s are allowed"
    if victim not in {m.name for m in members}:
        return f"{victim} is not among the members that etcd reports"
    if len(members) != reading.expected:
        return f"etcd has {len(members)} members, and the fleet has {reading.expected} control planes"
    learners = [m.name for m in members if m.learner]
    if learners:
        return f"{', '.join(learners)} still joins etcd"
    remedy = purpose is Purpose.REMEDY  # the victim need not answer
    answering = sum(m.started for m in members if not (remedy and m.name == victim))
    needed = min(2, answering) if remedy else min(2, max(answering, 1))
    return "" if reading.endpoints >= needed else f"only {reading.endpoints} endpoints agree about etcd"


def refuse_join(newcomer: str, reading: Reading) -> str:
    """Why `newcomer` must not be booted into the cluster now; empty if it may.

    Stricter than etcd itself: a machine that joins and then fails must not be the second that is missing. One
    that has joined already (a resumed run) is let through by its own wait, not by this.
    """
    stale = _stale(reading)
    if stale:
        return stale
    learners = [m.name for m in reading.members if m.learner]
    if learners:
        return f"{', '.join(learners)} still joins etcd"
    ill = [m for m in reading.members if m.problem]
    if ill:
        return f"{ill[0].name} {ill[0].problem}, and {newcomer} joins only when every member is well"
    if len(reading.members) != reading.expected:
        return f"etcd has {len(reading.members)} members, and the fleet has {reading.expected} control planes"
    return "" if reading.endpoints >= min(2, len(reading.members)) else _disagree(reading)


def refuse_leave(victim: str, reading: Reading, *, dead: bool) -> str:
    """Why `victim` must not leave etcd now; empty if it may. `dead`: it is to be removed by the others.

    Two questions: is there a quorum to agree on it, and will there be one without it?
    """
    stale = _stale(reading)
    if stale:
        return stale
    members = reading.members
    others = [m for m in members if m.name != victim]
    if len(others) == len(members):
        return f"{victim} is not among the members that etcd reports"
    if not others:
        return "it is the last member: with it goes the cluster"
    own = next(m for m in members if m.name == victim)
    reason = _refuse_change(own, others, gone=dead or bool(own.problem))
    return reason or ("" if reading.endpoints >= min(2, len(others)) or dead else _disagree(reading))


def _refuse_change(own: MemberRead, others: Sequence[MemberRead], *, gone: bool) -> str:
    well = sum(not m.problem and not m.learner for m in others)
    stay = sum(not m.learner for m in others)
    voters, agreeing = stay + (not own.learner), well + (not gone and not own.learner)
    if agreeing < voters // 2 + 1:
        return f"{agreeing} of {voters} members are well, and etcd needs {voters // 2 + 1} to change itself"
    ill = [m for m in others if m.problem or m.learner]
    if ill and not gone:
        said = ill[0].problem or "still joins etcd"
        return f"{ill[0].name} {said}: that one is to be mended or removed first"
    if well < stay // 2 + 1:
        return f"of the {stay} members that stay {well} are well: etcd would lose its quorum"
    return ""


def lost(reading: Reading) -> bool:
    """Has etcd lost its quorum, as far as anybody can tell? Learners don't vote."""
    voters = [m for m in reading.members if not m.learner]
    return sum(not m.problem for m in voters) < len(voters) // 2 + 1


def _stale(reading: Reading) -> str:
    if 0 <= reading.age <= FRESH_SECONDS:
        return ""
    return f"the last read is {reading.age:.0f} s old; {FRESH_SECONDS:.0f} s are allowed"


def _disagree(reading: Reading) -> str:
    return f"only {reading.endpoints} endpoints agree about etcd"
