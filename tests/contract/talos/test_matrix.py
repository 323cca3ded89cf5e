"""What the docs say of the matrix is what the matrix is."""

import re
from pathlib import Path

from facts.hardware import load_profiles
from tests.contract.talos import judges, matrix

DOCS = Path(__file__).parents[3] / "docs" / "machine-configuration.md"


def test_the_docs_say_how_many_configurations_are_judged() -> None:
    made = sum(len(dict(matrix.points(minor))) for minor in judges.MINORS)
    networks, features = len(matrix.NETWORKS), len(matrix.FEATURES)
    assert made == len(judges.MINORS) * 3 * (networks * features + len(load_profiles()) + 1)
    said = " ".join(DOCS.read_text().split())
    pattern = r"More than (\d+) configurations \(each Talos minor with each role, (\d+) network forms, (\d+) sets of features, every hardware profile"
    found = re.search(pattern, said)
    assert found
    least, *forms = map(int, found.groups())
    assert forms == [networks, features]
    assert least <= made  # a new profile adds some, and nobody should have to count again
