"""Pieces of sentences: numbers with nouns, and where a machine is reached."""

import pytest

from inventory.wording import count, reached_at


@pytest.mark.parametrize(("number", "said"), [(0, "0 sites"), (1, "1 site"), (2, "2 sites")])
def test_a_number_has_its_noun(number: int, said: str) -> None:
    assert count(number, "site") == said
    assert count(number, "directory", "directories") == said.replace("sites", "directories").replace(
        "site", "directory"
    )


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (("10.0.0.11",), "10.0.0.11"),
        (("10.0.0.11", 22), "10.0.0.11"),
        (("10.0.0.11", 2222), "10.0.0.11:2222"),
        (("fd00::1", 22), "fd00::1"),
        (("fd00::1", 2222, "ops@gate"), "[fd00::1]:2222 through ops@gate"),
        (("", 2222), ""),
    ],
)
def test_a_port_is_said_unless_it_is_the_usual_one(way: tuple[str, int, str], said: str) -> None:
    assert reached_at(*way) == said
