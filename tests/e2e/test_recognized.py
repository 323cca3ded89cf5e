"""After the reboot the same machine must answer: known by UUID, serial number and network cards, not by address."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from inventory.lifecycle import NodeState
from iso.lab import client
from tests.e2e.harness import BY_PARTITION, BY_STATE, INSTALLED_ONCE, KILLED, Case, Way, until

Take = Callable[[Way], Case]


def test_another_machine_with_the_right_certificate_is_not_taken_for_the_node(take: Take) -> None:
    """Its disk was moved, say, or its twin holds its address: nothing is started on it."""
    case = take(BY_PARTITION)
    case.fault(case.name, "other-machine", times=0)
    assert "another machine than the one that was installed" in case.apply(code=4).stdout
    assert case.node_state(case.name) == NodeState.BOOTING
    assert case.effect().bootstraps == 0
    case.clear(case.name)
    case.apply()
    assert case.effect() == replace(INSTALLED_ONCE, wiped=0)  # its disk was blank
    assert recorded(case) == "uuid, serial, mac"


def recorded(case: Case) -> str:
    (row,) = case.rows("SELECT json_extract(record, '$.recognized_by') AS by FROM nodes")
    return str(row["by"])


@pytest.mark.parametrize("way", [BY_STATE])
def test_a_machine_that_comes_back_is_told_to_be_the_same(take: Take, way: Way) -> None:
    """Power cut while the image is written: the environment again, with another host key."""
    case = take(way)
    former = case.machine(case.name).host_key
    case.fault(case.name, "power-cut", disk="nvme0n1", bytes=8 * 1024 * 1024)
    case.apply(code=4)
    until(lambda: case.machine(case.name).host_key not in ("", former), "the bootstrap environment again")
    case.ok("node", "add", case.name, "--address", case.address(), "--words", case.words(), "--replace")
    assert "the same machine as before, by uuid, serial, mac" in case.apply().stdout
    assert case.node_state(case.name) == NodeState.READY


def test_a_machine_that_was_gone_and_came_back_by_the_medium_is_told_with_the_way_on(take: Take) -> None:
    """It had left for Talos as far as anybody saw: then all that was said was that the key is another."""
    case = take(BY_PARTITION)
    case.apply(code=KILLED, env={"CTO_CRASH_AT": "reboot:before_intent"})
    former = case.machine(case.name).host_key
    case.ssh("efibootmgr -q -n 0000")
    case.fault(case.name, "never-come-back")
    case.apply(code=4, env={"CTO_WAIT_LIMIT": "1"})
    assert case.node_state(case.name) == NodeState.BOOTING
    client.command(case.lab, {"op": "power", "machine": case.name, "action": "on"})
    until(lambda: case.machine(case.name).host_key not in ("", former), "the bootstrap environment again")
    assert "into the bootstrap environment again" in case.apply(code=4).stdout
    case.ok("node", "add", case.name, "--address", case.address(), "--words", case.words(), "--replace")
    assert "the same machine as before, by uuid, serial, mac" in case.apply().stdout
    assert case.node_state(case.name) == NodeState.READY
