"""Profiles: each is one file with one fixture that it alone matches."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from facts.hardware import Profile, load_profiles, match, named, read_profile, report
from facts.machine_model import Hardware, HardwareCpu, hardware
from facts.snapshot import Facts
from inventory.errors import OperatorError, RefusedError

ROOT = Path(__file__).parents[3]
HARDWARE = ROOT / "tests/fixtures/hardware"
PROFILES = load_profiles()
EACH = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)

EXAMPLE = """
title: Example
arch: amd64
provenance: composed
sources: [nowhere]
match: [{field: vendor, pattern: '^Acme', score: 10}]
"""


def machine(name: str) -> Hardware:
    return hardware(Facts.from_dict(json.loads((HARDWARE / f"{name}.json").read_text())))


@EACH
def test_has_a_fixture_that_it_wins(profile: Profile):
    data = json.loads((HARDWARE / f"{profile.name}.json").read_text())
    assert data["provenance"] in {"captured", "composed"}
    assert data["sources"]
    found = match(machine(profile.name))
    assert found.profile.name == profile.name
    assert found.reasons
    assert bool(found.warnings) == bool(profile.generic or profile.warnings)


@EACH
def test_says_where_it_is_from(profile: Profile):
    assert profile.sources


@EACH
def test_extensions_have_their_full_name(profile: Profile):
    assert all(name.startswith("siderolabs/") for name in profile.extensions)


def test_each_fixture_has_a_profile():
    assert {path.stem for path in HARDWARE.glob("*.json")} == {profile.name for profile in PROFILES}


def test_one_generic_profile_for_each_architecture():
    assert sorted(profile.arch for profile in PROFILES if profile.generic) == ["amd64", "arm64"]


def test_unknown_hardware_gets_the_generic_profile_and_a_warning():
    found = match(replace(machine("dell-r660"), vendor="Acme", product="Rocket", board=""))
    assert found.profile.name == "generic-x86_64"
    assert "Acme Rocket" in found.warnings[0]


def test_no_profile_for_an_unknown_architecture():
    with pytest.raises(RefusedError, match="riscv64"):
        match(Hardware(arch="riscv64"))


def test_ties_go_to_more_rules_then_to_the_name_with_a_warning():
    rules = "[{field: vendor, pattern: a, score: 5}, {field: product, pattern: b, score: 5}]"
    one = read_profile(EXAMPLE, "z-one-rule.yaml")
    two = read_profile(
        EXAMPLE.replace("[{field: vendor, pattern: '^Acme', score: 10}]", rules), "y-two-rules.yaml"
    )
    same = replace(two, name="x-two-rules")
    found = match(Hardware(arch="amd64", vendor="acme", product="b"), [one, two, same])
    assert found.profile.name == "x-two-rules"
    assert found.warnings == (
        "y-two-rules, z-one-rule match as well; name one in the site file as hardwareProfile",
    )


def test_a_required_rule_decides_whether_it_is_a_candidate():
    profile = read_profile(EXAMPLE.replace("score: 10", "score: 10, required: true"), "acme.yaml")
    assert match(Hardware(arch="amd64", vendor="ACME Corp"), [profile]).score == 10
    with pytest.raises(RefusedError):
        match(Hardware(arch="amd64", vendor="Other"), [profile])
    with pytest.raises(RefusedError):
        match(Hardware(arch="arm64", vendor="ACME Corp"), [profile])


def test_less_than_expected_is_a_warning():
    small = replace(machine("dell-r660"), cpu=HardwareCpu(threads=2), memory=2 * 1024**3, disks=())
    assert len(match(small).warnings) == 2


def test_the_site_file_may_name_a_profile():
    found = named("raspberry-pi-5", machine("dell-r660"))
    assert found.profile.name == "raspberry-pi-5"
    assert any("arm64" in warning for warning in found.warnings)
    with pytest.raises(OperatorError, match="no hardware profile"):
        named("dell-r6600", machine("dell-r660"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (EXAMPLE + "extension: [x]\n", "extension"),
        (EXAMPLE.replace("arch: amd64", "arch: x86"), "arch"),
        (EXAMPLE.replace("score: 10", "score: '10'"), "score"),
        (EXAMPLE.replace("field: vendor", "field: serial"), "field"),
        (EXAMPLE.replace("'^Acme'", "'('"), "regular expression"),
        ("- a\n- b\n", "not a profile"),
        ("a: [", "not a profile"),
        ("title: x\n", "Field required"),
    ],
)
def test_mistakes_in_a_profile_are_explained(text: str, why: str):
    with pytest.raises(OperatorError, match="mine") as caught:
        read_profile(text, "mine.yaml")
    assert why in str(caught.value)


@EACH
def test_a_report_tells_no_identity(profile: Profile):
    facts = json.loads((HARDWARE / f"{profile.name}.json").read_text())["facts"]
    text = report(machine(profile.name))
    secret = [
        facts["platform"]["serial"],
        facts["platform"]["uuid"],
        facts["bmc"]["address"],
        facts["os"]["hostname"],
    ]
    secret += [disk[key] for disk in facts["disks"]["items"] for key in ("serial", "wwn")]
    secret += [dimm["serial"] for dimm in facts["dimms"]["items"]]
    secret += [nic[key] for nic in facts["nics"]["items"] for key in ("mac",)]
    secret += [address for nic in facts["nics"]["items"] for address in nic["addresses"]]
    assert [value for value in secret if value and value != "Not Specified" and value in text] == []
    assert json.loads(text)["arch"] in {"amd64", "arm64"}
