"""The path of an etcd cluster from one size to another, member by member, to be read before it is walked.

Only the order and what each state survives. Whether a step may be taken now is `core.quorum`'s matter, from
fresh reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Move(StrEnum):
    JOIN = "join"
    LEAVE = "leave"
    REMOVE = "remove"  # of a member that is dead, by the others


@dataclass(frozen=True, slots=True)
class Passage:
    """`members` and `quorum` after it; `spare` failures are survived in that state."""

    move: Move
    node: str
    members: int

    @property
    def quorum(self) -> int:
        return self.members // 2 + 1

    @property
    def spare(self) -> int:
        return max(0, self.members - self.quorum)

    def __str__(self) -> str:
        verb = {Move.JOIN: "joins", Move.LEAVE: "leaves", Move.REMOVE: "is removed"}[self.move]
        count = "1 member" if self.members == 1 else f"{self.members} members"
        fails = "any failure stops etcd" if not self.spare else f"{self.spare} may fail"
        return f"{self.node} {verb}: {count}, quorum {self.quorum}, {fails}"


def growing(members: int, newcomers: Sequence[str]) -> tuple[Passage, ...]:
    """One after the other: etcd takes one learner at a time, and each is a voter before the next begins."""
    return tuple(Passage(Move.JOIN, name, members + n) for n, name in enumerate(newcomers, 1))


def replacing(members: int, old: str, new: str, *, dead: bool) -> tuple[Passage, ...]:
    """A member that lives leaves last: four survive what two don't. A dead one goes first: it counts for the
    quorum and gives nothing, so that a newcomer beside it would make things worse.
    """
    if dead:
        return (Passage(Move.REMOVE, old, members - 1), Passage(Move.JOIN, new, members))
    return (Passage(Move.JOIN, new, members + 1), Passage(Move.LEAVE, old, members))


def shrinking(members: int, leaving: Sequence[str], *, dead: bool = False) -> tuple[Passage, ...]:
    move = Move.REMOVE if dead else Move.LEAVE
    return tuple(Passage(move, name, members - n) for n, name in enumerate(leaving, 1))


def explained(path: Sequence[Passage]) -> tuple[str, ...]:
    """The path in words, with the warning that two members deserve."""
    lines = [str(passage) for passage in path]
    if any(passage.members == 2 for passage in path):
        lines.append(
            "two members are the dangerous state: etcd then needs both, so that it is less safe than one;"
            " it is crossed only with a fresh, verified etcd snapshot"
            + (
                " and with every new machine prepared and imaged, so that it lasts one reboot"
                if any(passage.move is Move.JOIN for passage in path)
                else ""
            )
        )
    return tuple(lines)
