"""`cto hardware match --report`: what somebody with an unknown machine can send."""

import json
from pathlib import Path

import pytest

HARDWARE = Path(__file__).parents[2] / "fixtures" / "hardware"


def _unknown(folder):
    """The facts of a known machine under a name that nobody knows."""
    facts = json.loads((HARDWARE / "dell-r660.json").read_text())
    platform = facts["facts"]["platform"]
    platform.update({"vendor": "Nobody", "product": "Thing 1", "board": "B-1"})
    (folder / "f.json").write_text(json.dumps(facts))
    return facts["facts"]


def test_the_report_is_a_file_without_identity(cto, tmp_path):
    facts = _unknown(tmp_path)
    ran = cto("hardware", "match", "--facts", "f.json", "--report", "thing.json")
    assert ran.code == 0
    assert "generic" in ran.out
    assert "look it over before you send it" in ran.out
    text = (tmp_path / "thing.json").read_text()
    assert json.loads(text)["product"] == "Thing 1"
    secret = [facts["platform"]["serial"], *(disk["serial"] for disk in facts["disks"]["items"])]
    secret += [nic["mac"] for nic in facts["nics"]["items"]]
    assert [value for value in secret if value and value in text] == []
    assert "Thing 1" not in ran.out.replace("thing.json", "").split("The report")[1]


def test_without_a_file_it_is_printed(cto, tmp_path):
    _unknown(tmp_path)
    assert '"product": "Thing 1"' in cto("hardware", "match", "--facts", "f.json").out


@pytest.mark.parametrize("place", ["none/thing.json"])
def test_a_place_that_can_not_be_written(cto, tmp_path, place):
    _unknown(tmp_path)
    ran = cto("hardware", "match", "--facts", "f.json", "--report", place)
    assert ran.code == 2
    assert "can't be written" in ran.err
    assert "another file" in ran.err
