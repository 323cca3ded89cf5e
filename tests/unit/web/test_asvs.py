"""`docs/asvs.csv`: every requirement of OWASP ASVS 5.0, level 1, has a test, a page or a reason."""

import csv
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = list(csv.DictReader((ROOT / "docs" / "asvs.csv").open()))
# The ids of level 1 in version 5.0.0: section → the last numbers.
LEVEL_1 = {
    "1.2": "12345",
    "1.3": "12",
    "1.5": "1",
    "2.1": "1",
    "2.2": "12",
    "2.3": "1",
    "3.2": "12",
    "3.3": "1",
    "3.4": "12",
    "3.5": "123",
    "4.1": "1",
    "4.4": "1",
    "5.2": "12",
    "5.3": "12",
    "6.1": "1",
    "6.2": "12345678",
    "6.3": "12",
    "6.4": "12",
    "7.2": "1234",
    "7.4": "12",
    "8.1": "1",
    "8.2": "12",
    "8.3": "1",
    "9.1": "123",
    "9.2": "1",
    "10.4": "12345",
    "11.3": "12",
    "11.4": "1",
    "12.1": "1",
    "12.2": "12",
    "13.4": "1",
    "14.2": "1",
    "14.3": "1",
    "15.1": "1",
    "15.2": "1",
    "15.3": "1",
}


def test_every_id_of_level_1_is_there_once():
    wanted = [f"{section}.{last}" for section, lasts in LEVEL_1.items() for last in lasts]
    assert len(wanted) == 70
    assert sorted(row["id"] for row in ROWS if row["level"] == "1") == sorted(wanted)
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_what_is_met_names_a_test_or_a_page_that_is_there():
    for row in ROWS:
        assert row["status"] in ("met", "partly", "not-applicable", "open"), row
        if row["status"] != "met":
            assert row["note"], f"{row['id']}: say why"
        if row["status"] in ("met", "partly"):
            file, _, name = row["evidence"].partition("::")
            assert (ROOT / file).is_file(), row
            assert not name or f"def {name}(" in (ROOT / file).read_text(), row
