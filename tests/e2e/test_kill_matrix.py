"""The kill matrix: the controller dies at each of the four moments of every transition, and apply finishes the job.

Generated from the tables of `inventory.lifecycle`. What counts is what the lab's machines saw: each effect once.
Needs no root; a case takes a few seconds.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from inventory.lifecycle import (
    CLUSTER_TRANSITIONS,
    INSTALL_PATH,
    KILL_POINTS,
    NODE_TRANSITIONS,
    RECONFIGURE_PATH,
    NodeState,
    Transition,
    remaining,
)
from tests.e2e.harness import INSTALLED_ONCE, KILLED, Case, Effects, Kill

INSTALLED = Counter([t.step for t in INSTALL_PATH])
CLUSTERED = Counter([t.step for t in CLUSTER_TRANSITIONS])
# The store's own act: one transaction, with no effect outside of it, so that there is nothing to die between.
WITHOUT_EFFECT = {"pin"}
ASIDE = ("reconfigure", "reset", "settings")  # not on the way to an installed node


def kills(kind: str, transitions: tuple[Transition, ...]) -> Iterator[Kill]:
    for transition in transitions:
        if transition.step not in WITHOUT_EFFECT:
            yield from Kill.every(kind, transition)


NODE_KILLS = tuple(kills("node", NODE_TRANSITIONS))
CLUSTER_KILLS = tuple(kills("cluster", CLUSTER_TRANSITIONS))
INSTALL_KILLS = tuple(k for k in NODE_KILLS if k.step not in ASIDE) + CLUSTER_KILLS
RECONFIGURE_KILLS = tuple(k for k in NODE_KILLS if k.step == "reconfigure")
RESET_KILLS = tuple(k for k in NODE_KILLS if k.step == "reset")
SETTINGS_KILLS = tuple(k for k in NODE_KILLS if k.step == "settings")


def test_the_matrix_has_every_transition_at_every_point():
    tables = {("node", t) for t in NODE_TRANSITIONS} | {("cluster", t) for t in CLUSTER_TRANSITIONS}
    wanted = {
        (kind, t.source, t.step, point)
        for kind, t in tables
        for point in KILL_POINTS
        if t.step not in WITHOUT_EFFECT
    }
    made = [
        (k.kind, k.source, k.step, k.point)
        for k in (*INSTALL_KILLS, *RECONFIGURE_KILLS, *RESET_KILLS, *SETTINGS_KILLS)
    ]
    assert set(made) == wanted
    assert len(made) == len(wanted)


@pytest.mark.fault
@pytest.mark.parametrize("kill", INSTALL_KILLS, ids=str)
def test_an_install_survives_the_death_of_its_controller(case: Case, kill: Kill):
    case.smudge()
    case.apply(code=KILLED, env=kill.env)
    case.apply()

    assert case.effect() == INSTALLED_ONCE
    assert case.done_steps(case.name) + case.done_steps(case.cluster) >= INSTALLED + CLUSTERED
    assert_ready(case, node=INSTALLED)


@pytest.mark.fault
@pytest.mark.parametrize("kill", RECONFIGURE_KILLS, ids=str)
def test_a_changed_configuration_is_delivered_once(case: Case, kill: Kill):
    case.smudge()
    case.apply()
    add_sysctl(case)
    case.apply(code=KILLED, env=kill.env)
    case.apply()

    assert case.effect() == replace(INSTALLED_ONCE, applied=1)
    assert_ready(case, node=INSTALLED + Counter(t.step for t in RECONFIGURE_PATH), verified=2)


@pytest.mark.fault
@pytest.mark.parametrize("kill", RESET_KILLS, ids=str)
def test_a_node_is_given_up_once_from_wherever_it_is(case: Case, kill: Kill):
    case.smudge()
    stop_in(case, NodeState(kill.source))
    before = case.effect()
    reset = ("node", "reset", "-f", str(case.site), "--node", case.name, "--yes")
    case.expect(KILLED, *reset, env=kill.env)
    case.ok(*reset)

    # Until the configuration is delivered, first and last MiB are blank: nothing is there to be wiped.
    blank = kill.source in (NodeState.PREPARED, NodeState.IMAGED)
    # From the image on there may be a configuration volume, which is overwritten with zeros, once.
    keys = kill.source in (NodeState.IMAGED, NodeState.CONFIGURED, NodeState.BOOT_SET)
    before = replace(before, keys_wiped=before.keys_wiped + keys)
    assert given_up(before, case.effect()) == (0 if blank else 1)
    assert case.done_steps(case.name)["reset"] == 1
    assert case.node_state(case.name) == NodeState.RESET
    case.check_store()


@pytest.mark.fault
@pytest.mark.parametrize("kill", SETTINGS_KILLS, ids=str)
def test_settings_are_brought_back_once(case: Case, kill: Kill):
    until = ("--until", "prepared")
    declare_file(case, "first\n")
    case.apply(*until)
    before = operations(case)
    declare_file(case, "second\n")
    case.apply(*until, code=KILLED, env=kill.env)
    case.apply(*until)

    assert operations(case) == before + 1
    assert case.node_state(case.name) == NodeState.PREPARED
    case.check_store()


def stop_in(case: Case, state: NodeState) -> None:
    """Brings the machine exactly there: the controller dies before the next step begins."""
    ahead = remaining(state)
    if not ahead:
        case.apply()
    else:
        case.apply(code=KILLED, env={"CTO_CRASH_AT": f"{ahead[0].step}:before_intent"})
    assert case.node_state(case.name) == state


def given_up(before: Effects, after: Effects) -> int:
    """How often the disk was wiped since `before`, by whatever ran on the machine."""
    other = replace(after, wiped=before.wiped, resets=before.resets)
    assert other == before, "nothing but the wipe may happen"
    return after.wiped - before.wiped + after.resets - before.resets


def declare_file(case: Case, content: str) -> None:
    documents = list(yaml.safe_load_all(case.site.read_text()))
    files = {"/etc/site/motd": {"content": content}}
    documents[0]["spec"].setdefault("defaults", {})["bootstrap"] = {"files": files}
    case.site.write_text(yaml.safe_dump_all(documents))


def operations(case: Case) -> int:
    """What pyinfra did on machines so far: each operation is an event."""
    return len(case.rows("SELECT 1 FROM events WHERE kind = 'Operation'"))


def add_sysctl(case: Case) -> None:
    documents = list(yaml.safe_load_all(case.site.read_text()))
    organization = next(d for d in documents if d["kind"] == "Organization")
    organization["spec"]["defaults"]["settings"]["sysctls"] = {"vm.max_map_count": "262144"}
    case.site.write_text(yaml.safe_dump_all(documents))


def assert_ready(case: Case, *, node: Counter[str], verified: int = 1) -> None:
    """Everything is as it would be had nobody died: each step done once, all of it verified, the store whole."""
    assert case.done_steps(case.name) >= node
    done = case.rows("SELECT step FROM steps WHERE kind = 'node' AND outcome = 'done'")
    assert Counter(row["step"] for row in done) == node
    done = case.rows("SELECT step FROM steps WHERE kind = 'cluster' AND outcome = 'done'")
    assert Counter(row["step"] for row in done) == CLUSTERED + Counter({"verify-cluster": verified - 1})
    assert case.node_state(case.name) == NodeState.READY
    assert case.cluster_state(case.cluster) == "ready"
    case.check_store()
