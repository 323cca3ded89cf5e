"""The kill matrix of the runner: pyinfra's process dies in each step that runs a job in it, and the run goes on.

One job dies by itself, or all of them with the process they come from; while a job asks the machine, or while it
changes it. The step says that its end is not known, looks at the machine, and does only what is missing.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import controller.app.steps
from inventory.lifecycle import NODE_TRANSITIONS, NodeState
from tests.e2e.harness import (
    INSTALLED_ONCE,
    Case,
    Effects,
    declare_file,
    ended,
    given_up,
    operations,
    stop_in,
    until,
)

pytestmark = pytest.mark.fault

SLOW = 0.2  # seconds before each command: time to be killed in
# Steps that run a job, and the command with which it changes the machine.
CHANGES: Mapping[str, str] = {
    "prepare": "dd if=/dev/zero",
    "settings": "mkdir -p /etc/site",
    "set-boot": "efibootmgr -q -c",
    "reset": "dd if=/dev/zero",
}
ASKS = ""  # any command of a job
SITUATIONS = [("job", ASKS), ("runner", "changes")]


def test_each_step_that_runs_a_job_is_here():
    """By the code of the steps: who imports what runs a job."""
    sources = {path.stem: path.read_text() for path in Path(controller.app.steps.__path__[0]).glob("*.py")}
    users = {
        name.replace("_", "-")
        for name, text in sources.items()
        if re.search(r"\b(run_deploy|settle)\b", text)
    }
    assert users == set(CHANGES)
    assert users <= {transition.step for transition in NODE_TRANSITIONS}


@pytest.mark.parametrize(("victim", "when"), SITUATIONS)
@pytest.mark.parametrize("step", ["prepare", "set-boot"])
def test_an_install_goes_on_after_its_runner(case: Case, step: str, victim: str, when: str):
    case.smudge()
    stop_in(case, next(NodeState(t.source) for t in NODE_TRANSITIONS if t.step == step))
    survive(case, step, victim, when, "apply", "-f", str(case.site), "--yes")
    assert case.node_state(case.name) == NodeState.READY
    seen = case.effect()
    # Overwritten with zeros again where it was not known whether all of it was; everything else once.
    again = 2 if (step, when) == ("prepare", "changes") else 1
    assert 1 <= seen.wiped <= again
    assert replace(seen, wiped=1) == INSTALLED_ONCE
    case.check_store()


@pytest.mark.parametrize(("victim", "when"), SITUATIONS)
def test_settings_are_brought_back_after_their_runner(case: Case, victim: str, when: str):
    arguments = ("apply", "-f", str(case.site), "--yes", "--until", "prepared")
    declare_file(case, "first\n")
    case.ok(*arguments)
    before = operations(case)
    declare_file(case, "second\n")
    survive(case, "settings", victim, when, *arguments)
    # What the dead one did may not have been told.
    assert before <= operations(case) <= before + 1
    assert case.node_state(case.name) == NodeState.PREPARED
    case.apply("--until", "prepared")
    assert operations(case) <= before + 1, "nothing differs any more"
    case.check_store()


@pytest.mark.parametrize(("victim", "when"), SITUATIONS)
def test_a_node_is_given_up_after_its_runner(case: Case, victim: str, when: str):
    case.smudge()
    stop_in(case, NodeState.CONFIGURED)
    before = case.effect()
    survive(case, "reset", victim, when, "node", "reset", "-f", str(case.site), "--node", case.name, "--yes")
    after = case.effect()
    assert 1 <= after.keys_wiped <= 2
    wiped = given_up(replace(before, keys_wiped=after.keys_wiped), after)
    assert 1 <= wiped <= (2 if when else 1)
    assert case.node_state(case.name) == NodeState.RESET
    case.check_store()


def test_a_plan_says_which_machine_it_could_not_look_at(case: Case):
    """The plan's own job is no step: nothing was begun, so nothing has to be found out."""
    plan = ("plan", "-f", str(case.site), "--output", "json")
    slow(case)
    with ended(case.start(*plan)) as process:
        kill(process, "job", lambda: asked(case, ASKS) > 0)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, out + errors
    (node,) = json.loads(out)["nodes"]
    assert "killed by SIGKILL" in node["confirmation"]
    assert case.effect() == Effects()
    case.clear(case.name)
    (node,) = json.loads(case.ok(*plan).stdout)["nodes"]
    assert "killed" not in node["confirmation"]


def survive(case: Case, step: str, victim: str, when: str, *command: str) -> None:
    """Runs the command, kills the victim in that step, and lets the command go on."""
    slow(case)
    with ended(case.start(*command)) as process:
        alive(process, lambda: case.open_step(step), f"the step {step} begins")
        before = asked(case, CHANGES[step] if when else ASKS)
        kill(process, victim, lambda: asked(case, CHANGES[step] if when else ASKS) > before)
        until(lambda: lost(case, step) != "", "the step's end is not known")
        case.clear(case.name)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, out + errors
    assert re.search("killed by SIGKILL" if victim == "job" else "runner died", lost(case, step))
    assert case.done_steps(case.name)[step] == 1


def slow(case: Case) -> None:
    case.fault(case.name, "slow", times=0, seconds=SLOW)


def kill(process: "subprocess.Popen[str]", victim: str, at_work: Callable[[], bool]) -> None:
    alive(process, at_work, "a job is at work on the machine")
    zygote, *jobs = runners(process.pid)
    assert jobs, "no process carries out a job"
    for pid in jobs if victim == "job" else [zygote]:
        os.kill(pid, signal.SIGKILL)


def alive(process: "subprocess.Popen[str]", probe: Callable[[], bool], what: str) -> None:
    """Until `probe`, while the process runs."""

    def look() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}: {process.communicate()}")
        return probe()

    until(look, what)


def runners(parent: int) -> Sequence[int]:
    """The runner's processes below `parent`: the one they come from, then those that carry out a job."""
    found, seen = [], [parent]
    while seen:
        for pid in children(seen.pop()):
            seen.append(pid)
            if b"controller.runner" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def asked(case: Case, command: str) -> int:
    """How many such commands of jobs reached the machine: pyinfra wraps each one in sh -c."""
    commands = [str(e["command"]) for e in case.log(case.name) if e["event"] == "exec"]
    return sum(text.startswith("sh -c ") and command in text for text in commands)


def lost(case: Case, step: str) -> str:
    """What the step says of an end that is not known; empty if there was none."""
    sql = "SELECT detail FROM steps WHERE step = ? AND outcome = 'indeterminate'"
    return "".join(str(row["detail"]) for row in case.rows(sql, step))
