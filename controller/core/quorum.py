"""May a control plane be disrupted now? Decided from fresh reads that the caller just made.

etcd of n members works while ⌊n/2⌋+1 of them do. Planned work is stricter than that: it waits until every
*other* member is well. Reads nothing itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One etcd member as it was just read. `well`: started, its machine ready, nothing under way."""

    name: str
    well: bool
    learner: bool = False


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
