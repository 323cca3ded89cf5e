from pathlib import Path

import pytest
import yaml

from facts import hardware, machine_model, registry, script
from inventory.errors import OperatorError
from iso.lab import kinds

BOUNDARY = "b" * 32
FILES = sorted((Path(kinds.__file__).parent / "hardware").glob("*.yaml"))
# What a Raspberry Pi really lacks: no SMBIOS tools, no PCI list.
EXPECTED_PROBLEMS = {"raspberry-pi-5": {"dimms", "gpus"}}
PROFILES = {"supermicro-sys-621c": "supermicro-x13"}  # the rest are called like their kind


async def gathered(sh):
    specs = registry.machine_facts()
    status, out, err = await sh(script.build(specs, boundary=BOUNDARY))
    assert status == 0
    raws = script.split(out.encode(), specs, BOUNDARY, stderr=err.encode())
    return script.parse_all(raws, specs)


@pytest.mark.parametrize("kind", kinds.kinds())
async def test_every_kind_answers_all_facts_and_fits_its_profile(kind, sh_on):
    found = await gathered(sh_on(kind))
    assert {problem.name for problem in found.problems} == EXPECTED_PROBLEMS.get(kind, set())
    machine = machine_model.hardware(found)
    made = kinds.make(kind, seed="unit")
    assert [(disk.name, disk.size, disk.serial) for disk in machine.disks] == [
        (disk.name, disk.size, disk.serial) for disk in made.disks
    ]
    assert [disk.has_data for disk in machine.disks] == [bool(disk.contents) for disk in made.disks]
    assert machine.arch == made.arch
    assert hardware.match(machine).profile.name == PROFILES.get(kind, kind)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_where_it_comes_from(path):
    document = yaml.safe_load(path.read_text())
    assert document["kind"] == path.stem
    assert document["provenance"] in ("captured", "composed")
    assert document["sources"] if document["provenance"] == "composed" else document["capturedWith"]


def test_there_are_eight_kinds_on_both_architectures():
    assert len(kinds.kinds()) >= 8
    made = [kinds.make(kind, seed="x") for kind in kinds.kinds()]
    assert {one.arch for one in made} == {"amd64", "arm64"}
    assert {one.firmware for one in made} == {"uefi", "bios"}


def test_a_seed_makes_a_machine_its_own():
    first, again, other = (kinds.make("dell-r660", seed=seed) for seed in ("a", "a", "b"))
    assert first == again
    assert first.dmi["product_uuid"] != other.dmi["product_uuid"]
    assert {nic.mac for nic in first.nics}.isdisjoint(nic.mac for nic in other.nics)
    assert {disk.serial for disk in first.disks}.isdisjoint(disk.serial for disk in other.disks)
    assert all(int(nic.mac[:2], 16) & 2 for nic in first.nics), "no vendor's address"


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(OperatorError, match="vax") as caught:
        kinds.make("vax", seed="x")
    assert "dell-r660" in caught.value.fix


async def test_the_same_machine_gives_the_same_digest_after_a_reboot(sh_on):
    first, second = await gathered(sh_on("intel-nuc")), await gathered(sh_on("intel-nuc"))
    assert first.digest() == second.digest()


async def test_a_lie_of_any_size_and_depth_is_only_a_problem_of_that_fact(sh):
    sh.machine.faults.add("lie", at="lsblk", stdout="[", repeat=5_000_000, times=2)
    sh.machine.faults.add("lie", at="lscpu", stdout='{"lscpu": ' + "[" * 100_000)
    sh.machine.faults.add("lie", at="dmidecode", stdout="\x1b[2J\x1b]0;owned\x07", status=3)
    found = await gathered(sh)
    assert {problem.name for problem in found.problems} >= {"disks", "cpu"}
    assert found.values["platform"].product == "PowerEdge R760"
