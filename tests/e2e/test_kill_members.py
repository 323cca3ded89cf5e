"""The kill matrix of a cluster with several members: the controller dies while some are further than others.

Two clusters are installed at once, as by `cto demo`: three control planes with a worker, and an appliance. The
kill hits the first one. What counts is what the lab's machines saw: etcd is started once in each cluster, and
nobody is installed twice. Generated from the tables of `inventory.lifecycle`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from inventory.lifecycle import (
    CLUSTER_TRANSITIONS,
    INSTALL_PATH,
    KILL_POINTS,
    NODE_TRANSITIONS,
    NodeState,
    Transition,
)
from tests.e2e.harness import INSTALLED_ONCE, KILLED, Effects, FarmHome, Kill, mutations

# Steps whose course depends on other members, why, and whose death is tried: a cluster's has one subject.
TOGETHER: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "await-control-plane": ("any of three may be the one", ("",)),
    "bootstrap": ("a second member must never be started", ("",)),
    "fetch-access": ("others are still joining", ("",)),
    "verify-cluster": ("waits for every member, counts those of etcd", ("",)),
    "join": (
        "a control plane joins etcd; a worker gets its certificate from one",
        ("controlplane", "worker"),
    ),
    "clean": ("waits for etcd, and reboots one member at a time", ("controlplane",)),
    "verify": ("a control plane is well only with its peers", ("controlplane",)),
}
# These touch and read one machine only: `test_kill_matrix` has them, at a cluster of one.
BY_ITSELF = {"pin", "inspect", "prepare", "settings", "image", "configure", "set-boot", "reboot"}
# Not part of a first install; `test_ha_cluster` has them, at a cluster of three.
LATER = {"reconfigure", "reset"}


Deaths = tuple[Kill, ...]  # one after the other, in one install


def deaths(kind: str, transition: Transition) -> Iterator[Deaths]:
    """What can't be undone is tried one by one, everything else at its four moments in a row."""
    for role in TOGETHER[transition.step][1]:
        every = Kill.every(kind, transition, role)
        yield from [(kill,) for kill in every] if transition.step == "bootstrap" else [every]


TABLES = {"node": INSTALL_PATH, "cluster": CLUSTER_TRANSITIONS}
DEATHS = [d for kind in TABLES for t in TABLES[kind] if t.step in TOGETHER for d in deaths(kind, t)]
JOINS_LATE = Kill.of("join")


def told(each: Deaths) -> str:
    return str(each[0]) if len(each) == 1 else f"{each[0].step}{'-' if each[0].role else ''}{each[0].role}"


def test_each_transition_is_tried_with_several_members_or_there_is_a_reason_not_to():
    steps = [{t.step for t in table} for table in (NODE_TRANSITIONS, CLUSTER_TRANSITIONS)]
    sorted_out = [set(TOGETHER), BY_ITSELF, LATER]
    assert set.union(*steps) == set.union(*sorted_out)
    assert sum(map(len, sorted_out)) == len(set.union(*sorted_out))
    tried = Counter((kill.step, kill.role, kill.point) for each in DEATHS for kill in each)
    assert tried == Counter(
        (step, role, point)
        for step, (_, roles) in TOGETHER.items()
        for role in roles
        for point in KILL_POINTS
    )


@pytest.mark.fault
@pytest.mark.parametrize("each", DEATHS, ids=told)
def test_a_first_install_survives_the_death_of_its_controller(fleet: FarmHome, each: Deaths):
    fleet.smudge()
    for kill in each:
        fleet.apply(code=KILLED, env=kill.env_of(subject(fleet, kill)))
    fleet.apply()
    assert_installed_once(fleet)


@pytest.mark.fault
@pytest.mark.parametrize("kill", JOINS_LATE, ids=str)
def test_so_does_a_member_that_joins_a_cluster_which_exists(fleet: FarmHome, kill: Kill):
    fleet.smudge()
    first, late, *_ = fleet.names
    fleet.apply("--node", first)
    assert fleet.cluster_state(fleet.cluster) == "accessible"
    assert fleet.node_state(late) == NodeState.PINNED
    fleet.apply(code=KILLED, env=kill.env_of(late))
    fleet.apply()
    assert_installed_once(fleet)
    assert fleet.effects(first).bootstraps == 1


def subject(fleet: FarmHome, kill: Kill) -> str:
    """The cluster, or its first member with that role."""
    if kill.kind == "cluster":
        return fleet.cluster
    return next(machine.name for machine in fleet.machines().machines if machine.role == kill.role)


def assert_installed_once(fleet: FarmHome) -> None:
    """Both clusters are as they would be had nobody died, and stay so."""
    machines = fleet.machines().machines
    logs = {machine.name: fleet.log(machine.name) for machine in machines}
    seen = {name: Effects.of(log) for name, log in logs.items()}
    assert {name: replace(effects, bootstraps=1) for name, effects in seen.items()} == dict.fromkeys(
        fleet.names, INSTALLED_ONCE
    )
    started = Counter(m.cluster for m in machines for _ in range(seen[m.name].bootstraps))
    assert started == dict.fromkeys({m.cluster for m in machines}, 1)

    for name in fleet.names:
        assert fleet.node_state(name) == NodeState.READY
        assert fleet.done_steps(name) == Counter(t.step for t in INSTALL_PATH)
    for cluster in {m.cluster for m in machines}:
        assert fleet.cluster_state(cluster) == "ready"
        assert fleet.done_steps(cluster) >= Counter(t.step for t in CLUSTER_TRANSITIONS)
    fleet.check_store()

    fleet.apply()
    assert {name: mutations(fleet.log(name)) for name in logs} == {
        n: mutations(log) for n, log in logs.items()
    }
