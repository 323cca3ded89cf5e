"""Journeys of a cluster's membership, in which the controller dies or a member fails at every step there is.

What is met is not listed anywhere: each step that the program takes is a moment (`moments`), and comes up here.
The machines' own logs then say whether etcd ever had fewer healthy members than it needs.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inventory.lifecycle import INSTALL_PATH, KILL_POINTS, NodeState
from iso.lab import client
from tests.e2e.growing import power
from tests.e2e.harness import KILLED, LabHome, told, until
from tests.e2e.moments import Moment, ended_well, run

# Up to the reboot a new machine is worked on by itself: it is the same in every journey.
BY_ITSELF = frozenset(t.step for t in INSTALL_PATH if t.step not in ("reboot", "join", "clean", "verify"))
REFUSED = (2, 4, 5)  # input, node, partly: what an operator is told how to mend
_MOST_RUNS = 90
_PATIENT, _IMPATIENT = "90", "8"  # seconds for everything that is waited for
_LIVE = (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)


def deeds(lab: LabHome, name: str) -> list[dict[str, Any]]:
    request = {"op": "log", "machine": name, "limit": 100_000, "deeds": True}
    return list(client.command(lab.lab, request)["events"])


def planes(lab: LabHome) -> list[str]:
    """Control planes that are, or may be, members of etcd."""
    rows = lab.rows("SELECT name, state FROM nodes WHERE role != 'worker' ORDER BY address")
    return [str(row["name"]) for row in rows if row["state"] in _LIVE]


# --- the controller dies -----------------------------------------------------------------------------------


@dataclass
class Deaths:
    """One controller after the other, each dies at a moment at which none died before."""

    lab: LabHome
    here_too: bool = True  # at the steps, too, at which a new machine is by itself: once is enough
    met: set[tuple[str, str]] = field(default_factory=set)  # on the whole journey

    def walk(self, *command: str, leaving: Sequence[str] = ()) -> set[tuple[str, str]]:
        """`command` again and again, until one is done with everything; returns where the others died."""
        here: set[tuple[str, str]] = set()

        def at(now: Moment) -> bool:
            key = (now.step, now.point)
            if key in here or (now.step in BY_ITSELF and (key in self.met or not self.here_too)):
                return False
            here.add(key)
            self.met.add(key)
            return True

        for _ in range(_MOST_RUNS):
            done = run(self.lab, *command, at=at, wait_limit=_PATIENT)
            if done.returncode != KILLED:
                ended_well(done)
                every_point(here)
                return here
        raise AssertionError(f"not done after {_MOST_RUNS} deaths: {command}")


def every_point(met: Iterable[tuple[str, str]]) -> None:
    """A step that was met was met at each of its moments."""
    found = set(met)
    missing = {(step, point) for step, _ in found for point in KILL_POINTS} - found
    assert not missing, f"never met: {sorted(missing)}"


# --- a member fails ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What happens to a member, and how it ends."""

    begin: Callable[[LabHome, str], None]
    end: Callable[[LabHome, str], None]


def _armed(kind: str) -> Fault:
    return Fault(lambda lab, name: lab.fault(name, kind, times=0), lambda lab, name: lab.clear(name, kind))


def _count(lab: LabHome, name: str, event: str) -> int:
    return sum(one["event"] == event for one in deeds(lab, name))


def _power_on(lab: LabHome, name: str) -> None:
    """Until its etcd runs again: it does so without a quorum, too."""
    before = _count(lab, name, "etcd-running")
    power(lab, name, "on")
    until(lambda: _count(lab, name, "etcd-running") > before, f"etcd runs again on {name}", seconds=120)


def _boots(lab: LabHome, name: str) -> None:
    """As `_power_on`, where the etcd data may be lost."""
    before = _count(lab, name, "talos-configured")
    power(lab, name, "on")
    until(lambda: _count(lab, name, "talos-configured") > before, f"{name} is up again", seconds=120)


def _off(lab: LabHome, name: str) -> None:
    power(lab, name, "off")


FAULTS = {
    "off": Fault(_off, _power_on),
    "ill": _armed("etcd-unhealthy"),
    "cut-off": _armed("drop"),  # every connection to its Talos ends at once
}


EMPTY = {**FAULTS, "off": Fault(_off, _boots)}  # for members whose etcd has no data


@dataclass(frozen=True)
class Broken:
    node: str
    since: float
    until: float = float("inf")


@dataclass
class Failures:
    """At each step that is met, another member fails, and is well again when the step, or the run, is over."""

    lab: LabHome
    kind: str
    here_too: bool = True  # as of Deaths
    met: set[str] = field(default_factory=set)  # steps, on the whole journey
    refused: set[str] = field(default_factory=set)  # those at which a run ended for it
    broken: list[Broken] = field(default_factory=list)
    faults: Mapping[str, Fault] = field(default_factory=lambda: FAULTS)
    _now: tuple[Moment, str, float] | None = None

    def walk(self, *command: str, leaving: Sequence[str] = (), enough: str = "") -> None:
        """`command` again and again, until it is done. `leaving`: those are not the ones to fail. `enough`: a
        refusal that says that it was done before.
        """
        here: set[str] = set()

        def at(now: Moment) -> bool:
            if self._now is not None:
                begun = self._now[0]
                if (now.step, now.subject, now.point) == (begun.step, begun.subject, "after_observe"):
                    self.heal()
                elif now.point == "after_intent" and (self.here_too or now.step not in BY_ITSELF):
                    self.met.add(now.step)  # side by side with that one, so a member fails there as well
            elif now.point == "after_intent" and now.step not in here:
                if now.step not in BY_ITSELF or (self.here_too and now.step not in self.met):
                    self._fail(now, leaving)
                here.add(now.step)
            return False

        for _ in range(_MOST_RUNS):
            done = run(self.lab, *command, at=at, wait_limit=_IMPATIENT)
            step = self._now[0].step if self._now is not None else ""
            self.heal()
            if done.returncode == 0 or (enough and enough in done.stderr):
                return
            assert done.returncode in REFUSED, told(command, done, f"ended with {done.returncode}")
            assert "→" in done.stdout + done.stderr, told(command, done, "does not say what to do")
            assert self.lab.rows("SELECT * FROM steps WHERE outcome = 'started'") == []
            self.refused.add(step)
        raise AssertionError(f"not done after {_MOST_RUNS} runs: {told(command, done, 'the last one')}")

    def _fail(self, now: Moment, leaving: Sequence[str]) -> None:
        members = [name for name in planes(self.lab) if name not in leaving]
        others = [name for name in members if name != now.subject] or members
        if not others:
            return
        name = others[len(self.met) % len(others)]
        self.met.add(now.step)
        self._now = now, name, time.time()
        self.faults[self.kind].begin(self.lab, name)

    def heal(self) -> None:
        if self._now is None:
            return
        _, name, since = self._now
        self.faults[self.kind].end(self.lab, name)
        self.broken.append(Broken(name, since, time.time()))
        self._now = None


# --- what must hold whatever happens ------------------------------------------------------------------------


def changes(lab: LabHome, members: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often which member was promoted, left, was removed…"""
    return Counter((one["change"], one["member"]) for one in _changed(lab, members))


def _changed(lab: LabHome, members: Sequence[str]) -> list[dict[str, Any]]:
    return [e for name in members for e in deeds(lab, name) if e["event"] == "etcd-changed"]


def never_below_quorum(lab: LabHome, members: Sequence[str], broken: Sequence[Broken] = ()) -> None:
    """By the lab's own account. What the test broke itself is not held against the program, but nothing may
    leave etcd where the rest is not enough.
    """
    found = _changed(lab, members)
    assert found
    for change in found:
        ours = {b.node for b in broken if b.since <= change["at"] <= b.until}
        voters, well = set(change["voters"]), set(change["well"])
        needed = len(voters) // 2 + 1
        assert len(well | (ours & voters)) >= needed, (change, ours)
        if change["change"] in ("left", "removed"):
            assert len(well) >= needed, (change, ours)


def nobody_joins_meanwhile(lab: LabHome, members: Sequence[str], broken: Sequence[Broken]) -> None:
    """No machine is told to boot into a cluster of which a member is known to be ill."""
    for name in members:
        system = ""
        for event in deeds(lab, name):
            system = event["system"] if event["event"] == "boot" else system
            if event["event"] == "reboot" and system == "bootstrap":
                ill = [b for b in broken if b.node != name and b.since < event["at"] < b.until]
                assert not ill, (name, event, ill)
