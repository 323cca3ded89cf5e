"""What else ends a run in the middle: Ctrl-C, a killed runner, the network, the power, a machine that lies.

Each time the command says what to do, and running it again finishes the job without repeating what was done.
"""

import signal
from dataclasses import replace

import pytest

from inventory.lifecycle import NodeState
from iso.lab import client
from tests.e2e.harness import INSTALLED_ONCE, KILLED, Case, ended, until

pytestmark = pytest.mark.fault

MIB = 1024 * 1024
BIG = MIB  # more than any input but the image's


def test_ctrl_c_in_the_middle_of_the_image(case: Case):
    case.smudge()
    case.fault(case.name, "slow", times=0, bytes_per_second=2 * MIB)
    with ended(case.start_apply()) as process:
        until(lambda: moving(case, "image"), "bytes of the image on their way")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
    assert "run it again" in errors
    assert case.rows("SELECT state FROM runs") == [{"state": "cancelled"}]
    assert case.node_state(case.name) == NodeState.PREPARED
    case.clear(case.name)
    case.apply()
    # The image was not whole, so that it is written anew; everything before it is not.
    assert case.effect() == replace(INSTALLED_ONCE, imaged=2)
    assert case.node_state(case.name) == NodeState.READY
    case.check_store()


def test_a_connection_that_breaks_in_the_middle_of_the_image(case: Case):
    case.smudge()
    case.fault(case.name, "drop", times=0, bytes=BIG)
    done = case.apply(code=4)
    assert "dropped" in done.stdout
    assert "run the command again" in done.stdout + done.stderr
    tried = case.rows("SELECT outcome FROM steps WHERE step = 'image'")
    assert {row["outcome"] for row in tried} == {"indeterminate"}
    case.clear(case.name)
    case.apply()
    assert case.effect() == replace(INSTALLED_ONCE, imaged=len(tried) + 1)
    case.check_store()


def test_a_machine_that_refuses_connections_is_named_and_waited_for(case: Case):
    case.fault(case.name, "refuse", times=0, seconds=0)
    done = case.cto("apply", "-f", str(case.site), "--yes")
    assert done.returncode in (2, 4)
    assert "refused" in done.stdout
    assert case.name in done.stdout
    case.clear(case.name)
    case.apply()
    assert case.node_state(case.name) == NodeState.READY


@pytest.mark.parametrize(
    ("megabytes", "state"), [(6, NodeState.PREPARED), (20, NodeState.IMAGED)], ids=["image", "configuration"]
)
def test_a_power_cut_while_the_disk_is_written(case: Case, megabytes: int, state: NodeState):
    """The machine comes back in the bootstrap environment, since its disk has no boot sector, with a new key."""
    case.smudge()
    former = case.machine(case.name).host_key
    case.fault(case.name, "power-cut", disk="nvme0n1", bytes=megabytes * MIB)
    case.apply(code=4)
    assert case.node_state(case.name) == state
    now = until(lambda: back(case, former), "the machine is back in the bootstrap environment")
    assert now != former

    refused = case.apply(code=4)
    assert "host key mismatch" in refused.stdout
    assert (
        "KEY words" in refused.stdout + case.ok("status").stdout + case.ok("node", "show", case.name).stdout
    )
    add = ("node", "add", case.name, "--address", case.address())
    assert "--replace" in case.expect(2, *add, "--words", case.words()).stderr
    case.expect(2, *add, "--words", "KEY able bacon cabin dance eagle fable", "--replace")
    case.ok(*add, "--words", case.words(), "--replace")
    assert case.node_state(case.name) == NodeState.PINNED
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().bootstraps == case.effect().reboots == 1
    case.check_store()


def test_a_machine_that_never_comes_back(case: Case):
    case.fault(case.name, "never-come-back")
    done = case.apply(code=4, env={"CTO_WAIT_LIMIT": "1.5"})
    assert done.stdout.count("(waited 2 s)") == 2  # as it happens, and in the summary
    shown = case.ok("node", "show", case.name).stdout
    assert "look at its console" in shown
    assert case.node_state(case.name) == NodeState.BOOTING
    client.command(case.lab, {"op": "power", "machine": case.name, "action": "on"})
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().reboots == 1
    case.check_store()


def test_a_reboot_that_does_not_happen_is_ordered_again_only_by_the_next_run(case: Case):
    case.fault(case.name, "ignore-reboot")
    done = case.apply(code=4, env={"CTO_WAIT_LIMIT": "1"})
    assert "still runs the bootstrap environment" in done.stdout
    assert case.effect().reboots == 1
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().reboots == 2
    case.check_store()


def test_a_machine_that_boots_the_medium_again_is_told_apart(case: Case):
    """The firmware takes the medium once more: the bootstrap environment comes again, with a new key."""
    case.apply(code=KILLED, env={"CTO_CRASH_AT": "reboot:before_intent"})
    case.ssh("efibootmgr -q -n 0000")
    done = case.apply(code=4)
    assert "into the bootstrap environment again" in done.stdout
    assert f"cto node add {case.name}" in case.ok("node", "show", case.name).stdout
    case.ok("node", "add", case.name, "--address", case.address(), "--words", case.words(), "--replace")
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().bootstraps == 1
    case.check_store()


HOSTILE = {
    "terminal": {"stdout": "\x1b[2J\x1b]0;owned\x07{", "repeat": 1},
    "endless": {"stdout": "x" * 1000, "repeat": 3000},
    "deep": {"stdout": "[" * 1000, "repeat": 100},
    "strange": {
        "stdout": '{"blockdevices": [{"name": "../../etc", "size": 1e999, "serial": NaN, "path": "; reboot"}]}'
    },
}


@pytest.mark.parametrize("lie", HOSTILE, ids=str)
def test_a_machine_that_lies_about_itself_is_refused_and_harms_nobody(case: Case, lie: str):
    for tool in ("lsblk", "lscpu", "ip", "dmidecode", "smartctl", "uname"):
        case.fault(case.name, "lie", at=tool, times=0, **HOSTILE[lie])
    done = case.cto("apply", "-f", str(case.site), "--yes")
    assert done.returncode in (2, 4), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for output in (
        done,
        case.cto("node", "show", case.name),
        case.cto("facts", "show", case.name),
        case.cto("status"),
    ):
        assert not {"\x1b", "\x07"} & set(output.stdout + output.stderr)
    assert case.effect().imaged == 0
    case.clear(case.name)
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    case.check_store()


def moving(case: Case, step: str) -> bool:
    return bool(case.rows("SELECT 1 FROM progress WHERE step = ? AND done > 0 AND done < total", step))


def back(case: Case, former: str) -> str:
    """The new host key of the machine, once it is in the bootstrap environment again."""
    machine = case.machine(case.name)
    return machine.host_key if machine.state == "bootstrap" and machine.host_key != former else ""
