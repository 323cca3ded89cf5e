"""A cluster grows from one to three to five, shrinks to three, has members replaced and is recovered; and at every
moment of every step on the way the controller dies, or a member fails.

Nothing here lists the steps: the program is stopped at each (`moments`), and `test_nothing_is_left_out` holds what
was met against the tables of `inventory.lifecycle`. One process does not see all journeys, so what each of them has
to meet is made from those tables, too.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from inventory.lifecycle import (
    CLUSTER_ACTS,
    CLUSTER_TRANSITIONS,
    INSTALL_PATH,
    KILL_POINTS,
    NODE_TRANSITIONS,
)
from tests.e2e import growing
from tests.e2e.growing import LAB, declare, names
from tests.e2e.growing import planes as control
from tests.e2e.harness import KILLED, LabHome
from tests.e2e.journeys import (
    BY_ITSELF,
    EMPTY,
    FAULTS,
    Broken,
    Deaths,
    Failures,
    changes,
    deeds,
    never_below_quorum,
    nobody_joins_meanwhile,
)
from tests.e2e.moments import run

pytestmark = [pytest.mark.fault, pytest.mark.slow]

# What belongs to a first installation alone: `test_kill_matrix` and `test_kill_members` have it.
FIRST = frozenset({"pin", "settings", *(t.step for t in CLUSTER_TRANSITIONS)} - {"verify-cluster"})
EVERY = frozenset(t.step for t in (*NODE_TRANSITIONS, *CLUSTER_TRANSITIONS, *CLUSTER_ACTS)) - FIRST
JOINING = frozenset(t.step for t in INSTALL_PATH)
RECOVERING = frozenset({"recover"})
GROWING = JOINING | {"reconfigure", "move-endpoint", "raise-replicas", "verify-cluster"}
LEAVING = frozenset({"drain-node", "remove-member", "forget-node", "reset", "verify-cluster"})


def test_nothing_is_left_out():
    """A new step of the tables has to be met by a journey, or is known to be of a first installation."""
    assert EVERY == GROWING | LEAVING | RECOVERING


def apply(lab: LabHome) -> tuple[str, ...]:
    return "apply", "-f", str(lab.site), "--yes"


def replace(lab: LabHome, old: str, new: str, *more: str) -> tuple[str, ...]:
    return "node", "replace", old, "--with", new, "-f", str(lab.site), "--yes", *more


def steps(met: set[tuple[str, str]]) -> set[str]:
    return {step for step, _ in met}


def one_three(lab: LabHome, walk: Callable[..., object]) -> tuple[str, ...]:
    """With all that goes with it: the endpoint moves, pods leave the first one, Longhorn gets replicas."""
    a, b, c = every = tuple(names(lab))
    growing.smudge(lab, b, c)
    growing.longhorn_of_one(lab, growing.one(lab))
    growing.with_vip(lab, a, b, c)
    walk(*apply(lab))
    lab.apply()  # a node that was away while replicas were raised counts now
    assert growing.replicas(lab, lab.machine(a).cluster) == ("3", 3, "3")
    assert membership(lab, every) == {("promoted", b): 1, ("promoted", c): 1}
    return ended(lab, every)


def three_five_three(lab: LabHome, walk: Callable[..., object]) -> tuple[str, ...]:
    a, b, c, d, e = every = tuple(names(lab))
    growing.three(lab)
    before = membership(lab, every)
    declare(lab, control(*every))
    walk(*apply(lab))
    for name in (e, d):
        walk("node", "remove", name, "--yes", leaving=(name,))
    declare(lab, control(a, b, c))
    lab.apply()
    come_and_gone = Counter((what, name) for what in ("promoted", "left") for name in (d, e))
    assert membership(lab, every) - before == come_and_gone
    told = [deed for name in (d, e) for deed in deeds(lab, name) if deed["event"] == "talos"]
    wiped = [(deed["call"], deed["status"]) for deed in told]
    assert wiped.count(("Reset", "OK")) == 2
    return ended(lab, every)


def membership(lab: LabHome, every: Sequence[str]) -> Counter[tuple[str, str]]:
    found = changes(lab, every)
    return Counter({what: count for what, count in found.items() if what[0] != "stopped"})


def ended(lab: LabHome, every: tuple[str, ...]) -> tuple[str, ...]:
    assert lab.cluster_state(lab.machine(every[0]).cluster) == "ready"
    lab.check_store()
    return every


def replaced(lab: LabHome, walk: Callable[..., object]) -> tuple[tuple[str, ...], Broken]:
    """One that lives, by another; then one that is dead, by the machine that was freed."""
    d = names(lab)[3]
    a, b, c = growing.three(lab)
    declare(lab, control(a, b, d))
    walk(*replace(lab, c, d), leaving=(c,))
    growing.again(lab, c)
    dead = Broken(b, time.time())
    growing.power(lab, b, "off")
    declare(lab, control(a, c, d))
    walk(*replace(lab, b, c, "--dead"), leaving=(b,))
    found = changes(lab, (a, b, c, d))
    assert (found["left", c], found["removed", b]) == (1, 1)
    assert found["promoted", d] == 1
    assert found["promoted", c] in (1, 2)  # at first, too, unless etcd was started on it
    return ended(lab, (a, b, c, d)), dead


def test_one_becomes_three_whenever_the_controller_dies(make_lab: Callable[..., LabHome]):
    lab = make_lab("3", *LAB)
    deaths = Deaths(lab)
    every = one_three(lab, deaths.walk)
    assert steps(deaths.met) == GROWING
    never_below_quorum(lab, every)


def test_three_become_five_and_three_again_whenever_the_controller_dies(make_lab: Callable[..., LabHome]):
    lab = make_lab("5", *LAB)
    deaths = Deaths(lab, here_too=False)
    every = three_five_three(lab, deaths.walk)
    assert steps(deaths.met) == (JOINING - BY_ITSELF) | LEAVING
    never_below_quorum(lab, every)


def test_members_are_replaced_whenever_the_controller_dies(make_lab: Callable[..., LabHome]):
    lab = make_lab("4", *LAB)
    deaths = Deaths(lab, here_too=False)
    every, dead = replaced(lab, deaths.walk)
    assert steps(deaths.met) == (JOINING - BY_ITSELF) | LEAVING
    never_below_quorum(lab, every, [dead])


@pytest.mark.parametrize("kind", FAULTS)
def test_one_becomes_three_while_a_member_fails_at_every_step(make_lab: Callable[..., LabHome], kind: str):
    lab = make_lab("3", *LAB)
    failures = Failures(lab, kind)
    every = one_three(lab, failures.walk)
    assert failures.met == GROWING
    safely(lab, every, failures)


@pytest.mark.parametrize("kind", FAULTS)
def test_three_become_five_and_three_again_while_a_member_fails_at_every_step(
    make_lab: Callable[..., LabHome], kind: str
):
    lab = make_lab("5", *LAB)
    failures = Failures(lab, kind, here_too=False)
    every = three_five_three(lab, failures.walk)
    assert failures.met == (JOINING - BY_ITSELF) | LEAVING
    assert failures.refused >= {"reboot", "remove-member"}
    safely(lab, every, failures)


@pytest.mark.parametrize("kind", FAULTS)
def test_members_are_replaced_while_another_fails_at_every_step(make_lab: Callable[..., LabHome], kind: str):
    lab = make_lab("4", *LAB)
    failures = Failures(lab, kind, here_too=False)
    every, dead = replaced(lab, failures.walk)
    assert failures.met == (JOINING - BY_ITSELF) | LEAVING
    safely(lab, every, failures, dead)


def safely(lab: LabHome, every: Sequence[str], failures: Failures, *dead: Broken) -> None:
    never_below_quorum(lab, every, [*dead, *failures.broken])
    nobody_joins_meanwhile(lab, every, failures.broken)


# --- its quorum is lost -------------------------------------------------------------------------------------


def lose(lab: LabHome, *members: str) -> None:
    for name in members:
        growing.forget_etcd(lab, name)


def test_etcd_is_recovered_whenever_the_controller_dies(make_lab: Callable[..., LabHome], tmp_path: Path):
    lab = make_lab("3", *LAB)
    a, b, c = growing.three(lab)
    recover = recovery(lab, a, tmp_path)
    lose(lab, b, c)
    for point in KILL_POINTS:
        for step in RECOVERING:
            died = run(lab, *recover, at=lambda now, key=(step, point): (now.step, now.point) == key)
            assert died.returncode == KILLED
        if point in ("after_effect", "after_observe"):
            assert "has a quorum" in lab.expect(2, *recover).stderr
            lab.apply()
            lose(lab, b, c)
    died = run(lab, *recover, at=lambda now: now.step == "verify-cluster")
    assert died.returncode == KILLED
    assert steps(Deaths(lab).walk(*apply(lab))) == {"verify-cluster"}
    assert lab.cluster_state(lab.machine(a).cluster) == "ready"
    assert [e["event"] for e in deeds(lab, a)].count("etcd-recovered") == 3  # each time that it was lost
    lab.check_store()


@pytest.mark.parametrize("kind", FAULTS)
def test_etcd_is_recovered_while_a_member_fails(make_lab: Callable[..., LabHome], tmp_path: Path, kind: str):
    lab = make_lab("3", *LAB)
    a, b, c = growing.three(lab)
    recover = recovery(lab, a, tmp_path)
    lose(lab, b, c)
    failures = Failures(lab, kind, faults=EMPTY)
    failures.walk(*recover, enough="has a quorum")
    failures.walk(*apply(lab))
    assert failures.met >= RECOVERING
    assert lab.cluster_state(lab.machine(a).cluster) == "ready"
    assert sum([e["event"] for e in deeds(lab, n)].count("etcd-recovered") for n in (a, b, c)) == 1
    lab.check_store()


def recovery(lab: LabHome, first: str, folder: Path) -> tuple[str, ...]:
    """The command that brings its cluster back from a snapshot that is taken now."""
    cluster, out = lab.machine(first).cluster, folder / "db"
    lab.ok("etcd", "export", growing.snapshot(lab, cluster)["id"], "--out", str(out))
    return "cluster", "recover", cluster, "--snapshot", str(out), "--yes"
