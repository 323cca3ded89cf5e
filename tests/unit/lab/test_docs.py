"""The tables of the lab's page say what the code says."""

import re
from pathlib import Path

from iso.lab import kinds
from iso.lab.faults import KINDS

PAGE = (Path(__file__).parents[3] / "docs/lab.md").read_text()


def rows(heading):
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|(.*)\|$", section, re.MULTILINE)


def test_faults():
    documented = {name: text.strip().replace("`", "") for name, text in rows("Faults")}
    assert documented.keys() == KINDS.keys()


def test_kinds():
    documented = {
        name: [cell.strip() for cell in text.split("|")][:3] for name, text in rows("Kinds of machine")
    }
    made = [kinds.make(kind, seed="x") for kind in kinds.kinds()]
    assert documented == {one.kind: [one.arch, one.firmware, one.provenance] for one in made}
