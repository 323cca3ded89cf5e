"""`scripts/libraries.py`: which findings are inside the time frames of docs/security.md, and which are not."""

import csv
import json
import re
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TODAY, LOCKED = date(2026, 3, 31), date(2026, 3, 1)


@pytest.fixture(scope="module")
def libraries():
    spec = spec_from_file_location("libraries", ROOT / "scripts" / "libraries.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def audit(fixtures):
    found = json.loads((fixtures / "libraries" / "audit.json").read_text())["dependencies"]
    return [each for each in found if "skip_reason" not in each]


def known(severity, since, id_="CVE-2026-11111"):
    return {"id": id_, "library": "leaky", "severity": severity, "known_since": since, "why": "x"}


SLOW = known("not-affected", "2026-03-01", "GHSA-aaaa-bbbb-cccc")


def test_what_nobody_decided_on_is_told(libraries, audit):
    todo = libraries.overdue(audit, [], today=TODAY, locked=LOCKED)
    assert [line.split(" ")[0] for line in todo] == ["leaky", "slow"]
    assert "fixed in 2.2" in todo[0]


def test_what_could_not_be_looked_up_is_not_fine(libraries, fixtures):
    everything = json.loads((fixtures / "libraries" / "audit.json").read_text())["dependencies"]
    first = libraries.overdue(everything, [known("low", "2026-03-30"), SLOW], today=TODAY, locked=LOCKED)
    assert first == ["1 could not be looked up: skipped"]


@pytest.mark.parametrize(
    ("severity", "since", "over"),
    [
        ("critical", "2026-03-24", False),
        ("critical", "2026-03-23", True),
        ("high", "2026-03-01", False),
        ("high", "2026-02-28", True),
        ("low", "2025-12-31", False),
        ("low", "2025-12-30", True),
    ],
)
def test_each_has_its_time(libraries, audit, severity, since, over):
    todo = libraries.overdue(audit, [known(severity, since), SLOW], today=TODAY, locked=LOCKED)
    assert bool(todo) is over


def test_a_lock_file_that_is_old(libraries):
    assert libraries.overdue([], [], today=TODAY, locked=date(2025, 12, 29)) == []
    assert "make lock" in libraries.overdue([], [], today=TODAY, locked=date(2025, 12, 28))[0]


def test_the_page_says_the_same(libraries):
    text = (ROOT / "docs" / "security.md").read_text()
    for severity, days in libraries.DAYS.items():
        assert re.search(rf"^\| {severity}\b.*\| {days} days", text, re.MULTILINE), severity
    assert f"{libraries.LOCK_DAYS} days" in text


def test_the_findings_can_be_read(libraries):
    with libraries.FINDINGS.open() as file:
        for row in csv.DictReader(file):
            assert row["severity"] in libraries.DAYS
            assert date.fromisoformat(row["known_since"])
            assert len(row["why"]) > 10
