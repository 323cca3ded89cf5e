"""A cluster of three control planes after its installation: a change that reboots them, and giving members up.

Each machine's own log says when it was changed and when it was back, so "one at a time" is counted there.
"""

from collections.abc import Callable
from itertools import pairwise

import pytest
import yaml

from inventory.lifecycle import NodeState
from iso.lab import client
from tests.e2e.harness import KILLED, LabHome, mutations, until

IMPATIENT = {"CTO_WAIT_LIMIT": "3"}


def rebooting_change(lab: LabHome, module: str) -> None:
    """Another udev rule: Talos up to 1.13 reboots for it."""
    documents = list(yaml.safe_load_all(lab.site.read_text()))
    defaults = next(d for d in documents if d["kind"] == "Organization")["spec"]["defaults"]
    defaults["patches"] = [{"machine": {"udev": {"rules": [f'KERNEL=="{module}", MODE="0660"']}}}]
    lab.site.write_text(yaml.safe_dump_all(documents))


def names(lab: LabHome) -> list[str]:
    return [str(row["name"]) for row in lab.rows("SELECT name FROM nodes ORDER BY name")]


def power(lab: LabHome, name: str, action: str) -> None:
    client.command(lab.lab, {"op": "power", "machine": name, "action": action})


def absences(lab: LabHome) -> list[tuple[str, str]]:
    """From when to when each machine was away for a configuration, in the order in which they began."""
    found = []
    for name in names(lab):
        log = lab.log(name)
        applied = [i for i, e in enumerate(log) if e["event"] == "talos-applied" and e["mode"] == "REBOOT"]
        for index in applied:
            boot = next(e for e in log[index:] if e["event"] == "boot")
            found.append((str(log[index]["at"]), str(boot["at"])))
    return sorted(found)


@pytest.mark.fault
def test_a_change_that_reboots_takes_one_control_plane_at_a_time(make_lab: Callable[..., LabHome]):
    lab = make_lab("3")
    lab.apply()
    first, second, third = names(lab)
    rebooting_change(lab, "nbd")
    shown = lab.ok("plan", "-f", str(lab.site)).stdout
    assert shown.count("needs a reboot") == 3

    power(lab, third, "off")
    refused = lab.apply(code=4, env=IMPATIENT)
    assert f"needs a reboot, but {third} is not well" in refused.stdout
    assert "mend the other control planes first" in lab.ok("node", "show", first).stdout
    assert [lab.effects(name).applied for name in (first, second, third)] == [0, 0, 0]
    power(lab, third, "on")
    args = ("apply", "-f", str(lab.site), "--yes")
    crash = {"CTO_CRASH_AT": "reconfigure:after_effect"}
    until(lambda: lab.cto(*args, env=crash).returncode == KILLED, f"{third} is well, and a change begins")
    assert sum(lab.effects(name).applied for name in (first, second, third)) == 1
    lab.apply()
    assert [lab.effects(name).applied for name in (first, second, third)] == [1, 1, 1]
    away = absences(lab)
    assert len(away) == 3
    assert all(back < left for (_, back), (left, _) in pairwise(away)), away
    before = {name: mutations(lab.log(name)) for name in names(lab)}
    lab.apply()
    assert {name: mutations(lab.log(name)) for name in names(lab)} == before
    lab.check_store()


def test_members_are_given_up_and_come_back_and_then_all_of_it(make_lab: Callable[..., LabHome]):
    lab = make_lab("3")
    lab.apply()
    first, second, third = names(lab)
    reset = ("node", "reset", "-f", str(lab.site), "--yes")
    lost = lab.expect(2, *reset, "--node", first, "--node", second)
    assert "2 of 3 control planes would go" in lost.stderr
    power(lab, first, "off")
    ill = lab.expect(4, *reset, "--node", third)
    assert f"{first} is not well" in ill.stdout
    assert [lab.effects(name).resets for name in names(lab)] == [0, 0, 0]

    power(lab, first, "on")
    # Not in a hurry: each try is in the machines' logs, of which the lab keeps so many entries.
    well = f"{first} is well, and {third} may go"
    until(lambda: lab.cto(*reset, "--node", third).returncode == 0, well, pause=1)
    assert lab.node_state(third) == NodeState.RESET
    again(lab, third)
    lab.apply()
    assert lab.cluster_state(lab.machine(third).cluster) == "ready"
    assert [lab.effects(name).bootstraps for name in names(lab)].count(0) == 2

    lab.ok(*reset, "--cluster", lab.machine(first).cluster)
    assert {lab.node_state(name) for name in names(lab)} == {NodeState.RESET}
    for name in names(lab):
        again(lab, name)
    lab.apply()
    assert {lab.node_state(name) for name in names(lab)} == {NodeState.READY}
    assert sum(lab.effects(name).bootstraps for name in names(lab)) == 2
    lab.check_store()


def again(lab: LabHome, name: str) -> None:
    """The machine is in the bootstrap environment, and its new key is trusted."""
    until(lambda: lab.machine(name).words, f"{name} is in the bootstrap environment, with its words")
    found = lab.machine(name)
    add = ("node", "add", name, "--address", f"{found.address}:{found.ssh_port}")
    lab.ok(*add, "--words", found.words, "--replace")
