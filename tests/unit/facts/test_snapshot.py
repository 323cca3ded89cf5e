"""Stored facts: round trip, digest, difference."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.machine import clock, disks, links, memory, os, smart
from facts.registry import machine_facts
from facts.snapshot import Facts, canonical, diff
from facts.spec import FactError, FactProblem, FactSpec

HARDWARE = Path(__file__).parents[2] / "fixtures/hardware"


def facts(name: str = "dell-r660") -> Facts:
    return Facts.from_dict(json.loads((HARDWARE / f"{name}.json").read_text()))


@pytest.mark.parametrize("path", sorted(HARDWARE.glob("*.json")), ids=lambda path: path.stem)
def test_round_trip(path: Path):
    first = facts(path.stem)
    assert len(first.values) == len(machine_facts())
    again = Facts.from_json(first.to_json())
    assert again == first
    assert again.to_json() == first.to_json()
    assert again.digest() == first.digest()


def test_digest_ignores_what_changes_by_itself():
    old = facts()
    health = old.get(smart.FACT)
    hotter = replace(
        health, items=tuple(replace(each, temperature=61, power_on_hours=9999) for each in health.items)
    )
    new = (
        old.with_value(clock.FACT, clock.Clock(1.0, skew=3.5))
        .with_value(smart.FACT, hotter)
        .with_value(os.FACT, replace(old.get(os.FACT), boot_id="another", hostname="other"))
    )
    assert new != old
    assert new.digest() == old.digest()
    assert diff(old, new) == ()


def test_digest_and_difference_see_another_disk_and_speed():
    old = facts()
    found = old.get(disks.FACT)
    swapped = replace(found, items=(replace(found.items[0], serial="OTHER"), *found.items[1:]))
    seen = old.get(links.FACT)
    slower = replace(
        seen, items=tuple(replace(each, speed=100) if each.name == "eno8303" else each for each in seen.items)
    )
    new = old.with_value(disks.FACT, swapped).with_value(links.FACT, slower)
    assert new.digest() != old.digest()
    assert [(change.path, change.before, change.after) for change in diff(old, new)] == [
        ("disks.items[nvme0n1].serial", "BOSS0001", "OTHER"),
        ("links.items[eno8303].speed", 1000, 100),
    ]


def test_difference_of_what_came_and_went():
    old = facts()
    found = old.get(disks.FACT)
    new = old.with_value(disks.FACT, replace(found, items=found.items[:1]))
    changes = diff(old, new)
    assert [change.path for change in changes] == ["disks.items[nvme1n1]", "disks.items[sdz]"]
    assert all(change.after is None for change in changes)
    assert [change.before for change in diff(new, old)] == [None, None]


def test_difference_of_a_fact_that_vanished():
    old = facts()
    new = Facts({name: value for name, value in old.values.items() if name != "memory"})
    (change,) = diff(old, new)
    assert (change.path, change.after) == ("memory", None)


def test_problems_are_stored_but_not_digested():
    old = facts()
    new = Facts(old.values, (FactProblem("bmc", "no answer within 5 seconds"),))
    assert Facts.from_json(new.to_json()) == new
    assert new.digest() == old.digest()


def test_snapshots_of_other_versions_are_read():
    data = facts().to_dict()
    data["facts"]["of-the-future"] = {"x": 1}
    data["facts"]["memory"]["banks"] = 4
    del data["facts"]["memory"]["swap"]
    assert Facts.from_dict(data).get(memory.FACT) == memory.Memory(total=facts().get(memory.FACT).total)


@pytest.mark.parametrize("memory_value", [None, [], {}, {"total": "many"}, {"total": 1.5}, {"total": True}])
def test_snapshots_of_another_shape_are_refused(memory_value: object):
    with pytest.raises(FactError, match="Memory"):
        Facts.from_dict({"facts": {"memory": memory_value}})


def test_the_type_follows_the_spec():
    spec: FactSpec[memory.Memory] = memory.FACT
    value = facts().get(spec)
    assert isinstance(value, memory.Memory)
    assert Facts().get(spec) is None


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers())))
@settings(max_examples=50)
def test_canonical_text_does_not_depend_on_order(data: dict[str, object]):
    assert canonical(data) == canonical(dict(reversed(data.items())))
