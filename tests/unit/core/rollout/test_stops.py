"""Stops on the way: as few as may be, each as new as may be, and only steps that a publisher allows."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.rollout.stops import key, newer, way
from inventory.errors import RefusedError
from inventory.versions import FIRST_TALOS, LAST_TALOS, TESTED_TALOS, minor

KNOWN = ("1.11.3", "1.12.6", "1.12.9", "1.13.8", "1.13.9")


def talos(have: str, want: str, /, known: tuple[str, ...] = KNOWN, **origins: str) -> tuple[str, ...]:
    allowed = {name.removeprefix("v").replace("_", "."): minors.split() for name, minors in origins.items()}
    return way("Talos", have, want, known, allowed)


def test_the_newest_of_each_minor_that_lies_between():
    assert talos("1.11.3", "1.13.9") == ("1.11.3", "1.12.9", "1.13.9")
    assert talos("1.13.8", "1.13.9") == ("1.13.8", "1.13.9")
    assert talos("1.13.9", "1.13.9") == ("1.13.9",)
    assert talos("1.12.6", "1.13.10") == ("1.12.6", "1.13.10")  # a target needs not be known


def test_a_release_is_reached_only_from_where_its_publisher_says():
    """1.12.9 is for those who run 1.12 already: 1.12.6 leads there, or straight on."""
    assert talos("1.11.3", "1.13.9", v1_12_9="1.12") == ("1.11.3", "1.12.6", "1.13.9")


def test_a_further_stop_of_the_same_minor_is_made_where_it_must_be():
    found = talos("1.12.6", "1.13.9", v1_13_9="1.13", v1_13_8="1.12 1.13")
    assert found == ("1.12.6", "1.13.8", "1.13.9")


def test_what_no_allowed_step_leads_to_is_refused_with_the_reason():
    with pytest.raises(RefusedError, match=r"1\.13\.9 from 1\.13") as refused:
        talos("1.12.6", "1.13.9", ("1.12.6",), v1_13_9="1.13")
    assert "cto update list" in refused.value.fix


def test_a_minor_without_a_release_is_named_with_a_command_that_works():
    with pytest.raises(RefusedError, match=r"no release of 1\.12 is known") as refused:
        talos("1.11.3", "1.13.9", ("1.13.8",))
    assert f"--via {TESTED_TALOS[12]}" in refused.value.fix
    assert "update stage" not in refused.value.fix
    with pytest.raises(RefusedError) as refused:
        way("Kubernetes", "1.33.6", "1.35.4", (), {})
    assert "--via 1.34.PATCH" in refused.value.fix


VERSIONS = st.builds("1.{}.{}".format, st.integers(8, 14), st.integers(0, 5))


@given(
    VERSIONS,
    VERSIONS,
    st.sets(VERSIONS, max_size=8),
    st.dictionaries(VERSIONS, st.lists(st.integers(8, 14).map("1.{}".format), max_size=3), max_size=8),
)
def test_every_step_is_adjacent_newer_known_and_allowed(have, want, known, origins):
    try:
        found = way("Talos", have, want, known, origins)
    except RefusedError:
        return
    assert (found[0], found[-1]) == (have, want)
    assert set(found[1:-1]) <= known
    assert list(found) == sorted(found, key=key)
    for before, after in pairwise(found):
        assert newer(after, before)
        assert minor(after) - minor(before) in (0, 1)
        assert not origins.get(after) or f"1.{minor(before)}" in origins[after]


def test_the_versions_we_were_tested_with_are_those_of_the_contract_tests():
    """One for each minor that is supported; taken from what those tests are built with."""
    folder = Path(__file__).parents[3] / "contract" / "talos" / "modules"
    built = {
        int(path.parent.name.removeprefix("1.")): re.findall(r"machinery v(\S+)", path.read_text())[0]
        for path in folder.glob("*/go.mod")
    }
    assert dict(TESTED_TALOS) == built
    assert sorted(TESTED_TALOS) == list(range(FIRST_TALOS, LAST_TALOS + 1))
