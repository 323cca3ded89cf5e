"""The kill matrix: the controller dies at each of the four moments of every transition, and apply finishes the job.

Generated from the tables of `inventory.lifecycle`. What counts is what the lab's machines saw: each effect once.
Needs no root; a case takes a few seconds.
"""

import subprocess
import sys
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
)
from tests.e2e.harness import (
    INSTALLED_ONCE,
    KILLED,
    Case,
    Kill,
    declare_file,
    environment,
    given_up,
    operations,
    stop_in,
)

INSTALLED = Counter([t.step for t in INSTALL_PATH])
CLUSTERED = Counter([t.step for t in CLUSTER_TRANSITIONS])
ASIDE = ("pin", "reconfigure", "reset", "settings")  # not what `cto apply` does to install a node


def kills(kind: str, transitions: tuple[Transition, ...]) -> Iterator[Kill]:
    for transition in transitions:
        yield from Kill.every(kind, transition)


NODE_KILLS = tuple(kills("node", NODE_TRANSITIONS))
CLUSTER_KILLS = tuple(kills("cluster", CLUSTER_TRANSITIONS))
PIN_KILLS = tuple(k for k in NODE_KILLS if k.step == "pin")
INSTALL_KILLS = tuple(k for k in NODE_KILLS if k.step not in ASIDE) + CLUSTER_KILLS
RECONFIGURE_KILLS = tuple(k for k in NODE_KILLS if k.step == "reconfigure")
RESET_KILLS = tuple(k for k in NODE_KILLS if k.step == "reset")
SETTINGS_KILLS = tuple(k for k in NODE_KILLS if k.step == "settings")


def test_the_matrix_has_every_transition_at_every_point():
    tables = {("node", t) for t in NODE_TRANSITIONS} | {("cluster", t) for t in CLUSTER_TRANSITIONS}
    wanted = {(kind, t.source, t.step, point) for kind, t in tables for point in KILL_POINTS}
    made = [
        (k.kind, k.source, k.step, k.point)
        for k in (*PIN_KILLS, *INSTALL_KILLS, *RECONFIGURE_KILLS, *RESET_KILLS, *SETTINGS_KILLS)
    ]
    assert set(made) == wanted
    assert len(made) == len(wanted)


# A pin is no step of the engine's: it is one transaction of the store, made by `cto node add`. Its moments are
# those at which that program dies: before the transaction, in it, at its commit, and before it said what it did.
_IN_SQL = {
    "before_intent": "BEGIN IMMEDIATE",
    "after_intent": "UPDATE nodes SET host_key",
    "after_effect": "COMMIT",
}
_DYING = """
import io, os, signal, sqlite3, sys

class Dead(io.TextIOBase):
    def write(self, text):
        os.kill(os.getpid(), signal.SIGKILL)

def die(sql):
    if sql.startswith(wanted):
        os.kill(os.getpid(), signal.SIGKILL)

def watch(frame, event, call):
    if event == "c_call" and isinstance(call.__self__, sqlite3.Connection):
        call.__self__.set_trace_callback(die)

wanted = sys.argv.pop(1)
if wanted:
    sys.setprofile(watch)
else:
    sys.stdout = Dead()
from controller.cli.main import main
main()
"""


@pytest.mark.fault
@pytest.mark.parametrize("kill", PIN_KILLS, ids=str)
def test_a_machine_is_pinned_once_however_its_pin_ended(unpinned: Case, kill: Kill):
    case = unpinned
    key = case.machine(case.name).host_key
    add = ("node", "add", case.name, "--address", case.address(), "--host-key", key)
    case.ok("status")  # the store is made
    program = [sys.executable, "-c", _DYING, _IN_SQL.get(kill.point, ""), *add]
    died = subprocess.run(program, env=environment(case.home), capture_output=True, text=True, check=False)
    assert died.returncode == KILLED, died.stderr
    assert died.stdout == ""
    pinned = kill.point == "after_observe"
    assert case.node_state(case.name) == (NodeState.PINNED if pinned else "")

    case.ok(*add)
    assert len(case.rows("SELECT 1 FROM audit WHERE action = 'pin'")) == 1
    case.apply()
    assert case.effect() == replace(INSTALLED_ONCE, wiped=0)  # its disk was blank
    assert_ready(case, node=INSTALLED)


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
