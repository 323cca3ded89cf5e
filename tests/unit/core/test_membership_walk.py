"""1 → 3 → 5 → 3 and both replacements, with any member failing at any moment and the controller dying at any.

The world below is etcd's arithmetic and nothing else. What is asked of the product are its guards and its order.
Every act is judged by the world's own truth: it must leave as many healthy voters as the quorum needs.
"""

import itertools
from dataclasses import dataclass, field

import pytest

from controller.core.membership import Move, Passage, explained, growing, replacing, shrinking
from controller.core.quorum import MemberRead, Reading, lost, refuse_join, refuse_leave

POINTS = (
    "look",
    "snapshot",
    "guard",
    "act",
    "follow",
)  # of each passage; a kill or a failure may come before each


@dataclass
class World:
    """Members by name: alive or not, learner or not. A machine that booted joins as a learner by itself."""

    members: dict[str, bool]  # name → alive
    learners: set[str] = field(default_factory=set)
    snapshots: int = 0
    acts: list[tuple[str, str]] = field(default_factory=list)

    def healthy(self) -> int:
        return sum(alive for name, alive in self.members.items() if name not in self.learners)

    def voters(self) -> int:
        return len(self.members) - len(self.learners)

    def quorum(self) -> bool:
        return self.healthy() >= self.voters() // 2 + 1

    def reading(self) -> Reading:
        led = self.quorum()
        reads = [
            MemberRead(name, started=alive, learner=name in self.learners, read_seconds=0.0 if led else None)
            for name, alive in self.members.items()
        ]
        return Reading(0.0, sum(self.members.values()), reads, len(self.members))

    def do(self, passage: Passage) -> None:
        """I3: an act never takes the quorum away; I8: it is done once."""
        assert self.quorum(), f"{passage} without a quorum"
        assert (passage.move, passage.node) not in self.acts
        assert self.snapshots, f"{passage} without a snapshot"
        self.acts.append((passage.move, passage.node))
        if passage.move is Move.JOIN:
            self.members[passage.node] = True
            self.learners.add(passage.node)
        else:
            del self.members[passage.node]
        assert self.quorum(), f"{passage} lost the quorum"

    def follow(self) -> None:
        """etcd promotes a learner that lives, while there is a quorum."""
        for name in list(self.learners):
            if self.quorum() and self.members[name]:
                self.learners.discard(name)


def walk(world: World, path: tuple[Passage, ...], moment) -> str:
    """As the product walks it: looks first, snapshot, guard, act, and waits. Returns why it stopped; "" = done."""
    for passage in path:
        moment("look")
        there = passage.node in world.members
        if there is (passage.move is Move.JOIN):
            if passage.node in world.learners:
                world.follow()
                if passage.node in world.learners:
                    return f"{passage.node} is not a voter"
            continue
        moment("snapshot")
        if not world.quorum():
            return "no snapshot without a quorum"
        world.snapshots += 1
        moment("guard")
        reading = world.reading()
        if passage.move is Move.JOIN:
            reason = refuse_join(passage.node, reading)
        else:
            reason = refuse_leave(passage.node, reading, dead=passage.move is Move.REMOVE)
        if reason:
            return reason
        # Nothing can fail between the guard and the act that the guard could know of: five seconds at most.
        world.do(passage)
        moment("act")
        world.follow()
        moment("follow")
    return ""


class Died(Exception):
    pass


def scenarios():
    one, three, five = ("a",), ("a", "b", "c"), ("a", "b", "c", "d", "e")
    yield "1 to 3", one, (), growing(1, ("b", "c"))
    yield "3 to 5", three, (), growing(3, ("d", "e"))
    yield "5 to 3", five, (), shrinking(5, ("e", "d"))
    yield "3 to 1", three, (), shrinking(3, ("c", "b"))
    yield "replace a living one", three, (), replacing(3, "b", "n", dead=False)
    yield "replace a dead one", three, ("b",), replacing(3, "b", "n", dead=True)
    yield "replace a dead one of five", five, ("b",), replacing(5, "b", "n", dead=True)


SCENARIOS = list(scenarios())


@pytest.mark.parametrize(("name", "members", "dead", "path"), SCENARIOS, ids=[s[0] for s in SCENARIOS])
def test_it_arrives_whoever_fails_and_whenever_the_controller_dies(name, members, dead, path):
    names = [*members, *(p.node for p in path if p.node not in members)]
    moments = range(len(path) * len(POINTS) + 1)
    for failing, at, kill in itertools.product((*names, ""), moments, (*moments, -1)):
        world = World({m: m not in dead for m in members})
        clock = itertools.count()

        def moment(_point, world=world, clock=clock, failing=failing, at=at, kill=kill):
            now = next(clock)
            if now == at and failing in world.members:
                world.members[failing] = False
            if now == kill:
                raise Died

        why = attempt(world, path, moment)
        assert lost(world.reading()) is not world.quorum()
        if why:  # while it is ill, trying again undoes nothing and hurts nothing
            before = list(world.acts)
            attempt(world, path, lambda _point: None)
            assert world.acts[: len(before)] == before
        if failing in world.members and failing not in dead:
            world.members[failing] = True
        world.follow()
        for _ in range(2):
            why = attempt(world, path, lambda _point: None)
        gone = {p.node for p in path if p.move is not Move.JOIN}
        assert why == "", (name, failing, at, kill, why)
        assert set(world.members) == set(names) - gone
        assert world.healthy() == world.voters() == len(world.members)
        assert len(world.acts) == len(path)


def attempt(world: World, path: tuple[Passage, ...], moment) -> str:
    try:
        return walk(world, path, moment)
    except Died:
        return "the controller died"


def test_the_path_says_what_each_state_survives():
    lines = explained(growing(1, ("b", "c")))
    assert lines[0] == "b joins: 2 members, quorum 2, any failure stops etcd"
    assert lines[1] == "c joins: 3 members, quorum 2, 1 may fail"
    assert "dangerous" in lines[2]
    assert "imaged" in lines[2]
    assert len(explained(growing(3, ("d", "e")))) == 2
    assert str(shrinking(2, ("b",))[0]) == "b leaves: 1 member, quorum 1, any failure stops etcd"
    assert [p.move for p in replacing(3, "b", "n", dead=True)] == [Move.REMOVE, Move.JOIN]
    assert [p.members for p in replacing(3, "b", "n", dead=False)] == [4, 3]
