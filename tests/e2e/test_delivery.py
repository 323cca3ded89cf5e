"""Each way of delivery, from bare machine to verified cluster and on; and what may go wrong on the way.

The other end-to-end tests go by the partition on Talos 1.13.
"""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from inventory.lifecycle import NodeState
from iso.lab.spec import LabInfo
from tests.e2e.harness import (
    BY_PARTITION,
    BY_STATE,
    CONFIRMED,
    INSTALLED_ONCE,
    KILLED,
    PUSHED,
    PUSHED_ONCE,
    STATE_ONCE,
    Case,
    Kill,
    LabHome,
    Way,
    mutations,
    replace,
    until,
)

Take = Callable[[Way], Case]
MIB = 1024 * 1024


def test_three_ways_in_one_site_file(make_lab: Callable[..., LabHome]):
    """Talos 1.9 (STATE, chosen by the version), 1.13 (partition), 1.13 pushed; then a change; then given up."""
    lab = make_lab("1,1,1")
    info = lab.info()
    ways = dict(zip((m.name for m in info.machines), (BY_STATE, BY_PARTITION, PUSHED), strict=True))
    once = dict(zip(ways, (STATE_ONCE, INSTALLED_ONCE, PUSHED_ONCE), strict=True))
    lab.site.write_text(_mixed(info, ways, lab))
    plan = lab.ok("plan", "-f", str(lab.site)).stdout
    for said in (
        "in the STATE partition",
        "Talos 1.9.6 could not drop",
        "dropped after the first boot",
        "pushed to the node in maintenance mode",
        "declares the network segment trusted",
    ):
        assert said in " ".join(plan.split())

    lab.apply()
    assert {row["state"] for row in lab.rows("SELECT state FROM clusters")} == {"ready"}
    assert {name: replace(lab.effects(name), wiped=1) for name in ways} == once

    before = {name: mutations(lab.log(name)) for name in ways}
    lab.apply()
    assert {name: mutations(lab.log(name)) for name in ways} == before

    documents = list(yaml.safe_load_all(lab.site.read_text()))
    documents[0]["spec"]["defaults"]["settings"]["sysctls"] = {"vm.max_map_count": "262144"}
    lab.site.write_text(yaml.safe_dump_all(documents))
    lab.apply()
    assert {n: lab.effects(n).applied for n in ways} == {n: e.applied + 1 for n, e in once.items()}

    lab.ok("node", "reset", "-f", str(lab.site), *(word for n in ways for word in ("--node", n)), "--yes")
    assert {lab.effects(name).resets for name in ways} == {1}
    assert {row["state"] for row in lab.rows("SELECT state FROM nodes")} == {NodeState.RESET}
    lab.check_store()


def _mixed(info: LabInfo, ways: dict[str, Way], lab: LabHome) -> str:
    """One site file of one-node sites that each go their own way."""
    parts: list[dict[str, Any]] = []
    for machine in info.machines:
        way = ways[machine.name]
        text = way.site(replace(info, machines=(machine,)), lab.home / "lab" / "images")
        organization, *rest = yaml.safe_load_all(text)
        cluster = next(d for d in rest if d["kind"] == "Cluster")["spec"]
        cluster["kubernetes"] = way.kubernetes
        image = organization["spec"]["defaults"].pop("image")
        cluster["nodes"][0] |= {"image": image, "delivery": dict(way.delivery or {"method": "auto"})}
        organization["spec"]["defaults"].pop("delivery", None)
        parts += rest if parts else [organization, *rest]
    return yaml.safe_dump_all(parts)


@pytest.mark.parametrize("minor", ["1.10.9"])
def test_a_partition_that_talos_holds_until_a_reboot(take: Take, minor: str):
    """1.10 and 1.11 refuse to wipe the volume they booted from: the node is rebooted once, then it goes."""
    case = take(Way(minor, "1.33.6"))
    case.smudge()
    case.apply()
    assert case.effect() == replace(INSTALLED_ONCE, talos_reboots=1)
    assert case.node_state(case.name) == NodeState.READY
    case.check_store()


def test_a_push_waits_for_the_operator_to_compare_the_key(take: Take):
    case = take(replace(CONFIRMED, talos="1.11.6", kubernetes="1.34.1"))
    case.smudge()
    done = case.apply(code=4)
    assert f"cto node confirm {case.name}" in done.stdout
    assert case.node_state(case.name) == NodeState.BOOTING
    assert case.effect().applied == 0

    confirm = ("node", "confirm", case.name, "--maintenance-fingerprint")
    assert "no fingerprint" in case.expect(2, *confirm, "abc").stderr
    assert "no terminal" in case.expect(2, *confirm[:-1]).stderr
    case.ok(*confirm, fingerprint(case))
    case.power("cut")  # a boot later it is another key
    until(lambda: len(fingerprints(case)) == 2, "maintenance mode again")
    assert "another key than the confirmed one" in case.apply(code=4).stdout
    assert case.effect().applied == 0

    case.ok(*confirm, fingerprint(case))
    case.apply()
    assert case.effect() == PUSHED_ONCE
    assert case.node_state(case.name) == NodeState.READY
    case.check_store()


def test_a_push_goes_to_the_machine_that_was_installed(take: Take):
    """Another machine answers in maintenance mode at the node's address: it gets nothing."""
    case = take(PUSHED)
    case.fault(case.name, "other-machine", times=0)
    assert "another machine than the one that was installed" in case.apply(code=4).stdout
    assert case.effect().applied == 0
    case.clear(case.name)
    case.apply()
    assert case.effect().applied == 1


def fingerprints(case: Case) -> list[str]:
    """What its console showed, boot by boot."""
    return [e["fingerprint"] for e in case.log(case.name) if e["event"] == "talos-maintenance"]


def fingerprint(case: Case) -> str:
    return fingerprints(case)[-1]


def test_a_power_cut_while_state_is_made(take: Take):
    """The machine comes back in the bootstrap environment, since its disk has no boot sector, with a new key."""
    case = take(BY_STATE)
    case.smudge()
    former = case.machine(case.name).host_key
    # 2 MiB are cleared, 11 MiB are image, 16.5 KiB are the backup table: the power fails in the new file.
    case.fault(case.name, "power-cut", disk="nvme0n1", bytes=13 * MIB + 20_000)
    case.apply(code=4)
    assert case.node_state(case.name) == NodeState.IMAGED
    assert case.effect() == replace(STATE_ONCE, first_mib=0, boot_entries=0, reboots=0, bootstraps=0)
    until(lambda: case.machine(case.name).host_key not in ("", former), "the bootstrap environment again")
    case.ok("node", "add", case.name, "--address", case.address(), "--words", case.words(), "--replace")
    case.apply()
    assert case.node_state(case.name) == NodeState.READY
    assert case.effect().bootstraps == case.effect().reboots == 1
    case.check_store()


@pytest.mark.fault
@pytest.mark.parametrize("kill", Kill.of("configure"), ids=str)
def test_state_survives_the_death_of_its_controller(take: Take, kill: Kill):
    case = take(BY_STATE)
    case.smudge()
    case.apply(code=KILLED, env=kill.env)
    case.apply()
    assert case.effect() == STATE_ONCE
    case.check_store()


@pytest.mark.fault
@pytest.mark.parametrize("kill", Kill.of("join"), ids=str)
def test_a_push_survives_the_death_of_its_controller(take: Take, kill: Kill):
    case = take(PUSHED)
    case.smudge()
    case.apply(code=KILLED, env=kill.env)
    case.apply()
    assert case.effect() == PUSHED_ONCE
    case.check_store()


@pytest.mark.fault
def test_a_node_given_up_before_it_boots_keeps_no_state(take: Take):
    case = take(BY_STATE)
    case.apply(code=KILLED, env={"CTO_CRASH_AT": "configure:after_effect"})
    reset = ("node", "reset", "-f", str(case.site), "--node", case.name, "--yes")
    case.expect(KILLED, *reset, env={"CTO_CRASH_AT": "reset:after_effect"})
    case.ok(*reset)
    assert case.effect().keys_wiped == 1
    assert case.node_state(case.name) == NodeState.RESET
    case.check_store()
