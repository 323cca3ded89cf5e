"""Adding a fact is one file: it is found, has a row in the docs and a fixture that says where it is from."""

from pathlib import Path

import pytest
import yaml

from facts.registry import machine_facts
from facts.spec import FactSpec

ROOT = Path(__file__).parents[3]
FACTS = machine_facts()
EACH = pytest.mark.parametrize("spec", FACTS, ids=lambda spec: spec.name)


def test_every_module_is_found_once():
    modules = {path.stem for path in (ROOT / "facts/machine").glob("*.py")} - {"__init__"}
    assert sorted(spec.name for spec in FACTS) == sorted(modules)


def test_the_clock_is_asked_first():
    assert FACTS[0].name == "clock"


@EACH
def test_has_a_row_in_the_docs(spec: FactSpec):
    assert f"| `{spec.name}` |" in (ROOT / "docs/facts.md").read_text()


@EACH
def test_has_fixtures_and_each_parses(spec: FactSpec):
    found = list((ROOT / "tests/fixtures/facts" / spec.name).glob("*.txt"))
    assert found
    for path in found:
        assert isinstance(spec.parse(path.read_text()), spec.model)


def test_every_fixture_says_captured_or_composed():
    said = yaml.safe_load((ROOT / "tests/fixtures/facts/provenance.yaml").read_text())
    machines = {path.stem for path in (ROOT / "tests/fixtures/facts").glob("*/*.txt")}
    assert machines == set(said)
    assert all(
        (entry["provenance"] == "captured" and entry["how"]) or entry["sources"] for entry in said.values()
    )


@EACH
def test_command_stays_in_the_shell_subset(spec: FactSpec):
    """What a plain POSIX shell and the lab's small one understand."""
    for forbidden in ("`", "[[", "((", "<<", "{a", "function ", "awk", "sed ", "&>"):
        assert forbidden not in spec.command
    assert "\n" not in spec.command


@EACH
def test_says_how_long_its_tools_may_take(spec: FactSpec):
    assert ("timeout" in spec.command) == (spec.seconds > 0)
