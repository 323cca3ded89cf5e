"""`docs/asvs.csv`: every requirement of OWASP ASVS 5.0, levels 1 and 2, has a test that runs, a page or a reason."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = list(csv.DictReader((ROOT / "docs" / "asvs.csv").open()))
# Ids and levels of version 5.0.0, as OWASP counts them.
WANTED = list(csv.DictReader((ROOT / "tests" / "fixtures" / "web" / "asvs-5.0.0.csv").open()))
STATUS = {"met", "partly", "not-applicable", "open"}
ABSENT = (  # why a requirement may be not applicable: the thing it is about is not there
    "no", "nobody", "nothing", "pages take no files", "as ", "one ", "files of others", "tokens say", "format",
    "Python",
)  # fmt: skip


def test_the_list_is_whole():
    assert len({row["id"] for row in WANTED}) == len(WANTED) == 253
    assert [sum(row["level"] == level for row in WANTED) for level in "12"] == [70, 183]


def test_every_id_is_there_once_with_its_level():
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    have = {row["id"]: row["level"] for row in ROWS if row["level"] in "12"}
    assert have == {row["id"]: row["level"] for row in WANTED}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_each_row_says_how_or_why(row):
    assert row["status"] in STATUS
    if row["status"] == "met":
        assert row["evidence"]
    elif row["status"] == "partly":
        assert row["evidence"]
        assert len(row["note"]) > 10, "say what is missing"
    elif row["status"] == "open":
        assert len(row["note"]) > 10, "say what is missing"
    else:
        assert row["note"].startswith(ABSENT)
        assert not row["evidence"]


def test_what_is_named_is_there_and_every_test_is_collected():
    named = {row["evidence"] for row in ROWS if row["evidence"]}
    tests = {each for each in named if each.startswith("tests/")}
    assert all((ROOT / each).is_file() for each in named - tests)
    files = sorted({each.partition("::")[0] for each in tests})
    ask = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:randomly", *files]
    told = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    collected = {re.sub(r"\[.*", "", line) for line in told.splitlines() if "::" in line}
    collected |= {line.partition("::")[0] for line in collected}
    assert sorted(tests - collected) == []
