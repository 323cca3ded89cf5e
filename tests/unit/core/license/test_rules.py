"""What a licence allows, by date; and which new nodes find no place. Nodes that are there always keep theirs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.license.document import License
from controller.core.license.rules import (
    COMMUNITY,
    GRACE,
    WARN,
    Limits,
    Place,
    Standing,
    allowance,
    held_back,
)

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MADE = License("lic_1", "Acme", START, END, nodes=200, clusters=None)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("now", "standing", "own"),
    [
        (START - SECOND, Standing.NOT_YET, False),
        (START, Standing.VALID, True),
        (END - WARN - SECOND, Standing.VALID, True),
        (END - WARN, Standing.ENDING, True),
        (END - SECOND, Standing.ENDING, True),
        (END, Standing.GRACE, True),
        (END + GRACE - SECOND, Standing.GRACE, True),
        (END + GRACE, Standing.EXPIRED, False),
    ],
)
def test_by_date(now, standing, own):
    found = allowance(MADE, now, "c-1")
    assert found.standing is standing
    assert found.limits == (Limits(200, None) if own else COMMUNITY)
    assert bool(found.note) is (standing is not Standing.VALID)


def test_without_one():
    assert allowance(None, START, "c-1").limits == COMMUNITY


def test_made_out_to_another_controller():
    copied = License("lic_1", "Acme", START, END, 200, None, controller="c-2")
    assert allowance(copied, START, "c-1").standing is Standing.FOREIGN
    assert allowance(copied, START, "c-2").standing is Standing.VALID


def _places(*names):
    return [Place(name, name[0]) for name in names]


def test_the_first_of_the_files_find_a_place():
    held = held_back(Limits(3, None), _places("a1", "a2"), _places("a3", "a4", "b1"))
    assert held == {
        "a4": "3 nodes are allowed, and there are 3",
        "b1": "3 nodes are allowed, and there are 3",
    }


def test_clusters_are_counted_apart():
    held = held_back(Limits(None, 1), _places("a1"), _places("b1", "a2"))
    assert list(held) == ["b1"]


_NAMES = st.lists(st.sampled_from("abcdef").flatmap(lambda c: st.integers(0, 9).map(lambda n: f"{c}{n}")))
_MOST = st.none() | st.integers(0, 20)


@given(_MOST, _MOST, _NAMES, _NAMES)
def test_no_limit_is_passed_and_no_place_is_wasted(nodes, clusters, there, new):
    counted, fresh = set(there), [name for name in dict.fromkeys(new) if name not in set(there)]
    held = held_back(Limits(nodes, clusters), _places(*counted), _places(*fresh))
    let_in = [name for name in fresh if name not in held]
    after = counted | set(let_in)
    if let_in and nodes is not None:
        assert len(after) <= nodes
    if {n[0] for n in let_in} - {n[0] for n in counted} and clusters is not None:
        assert len({n[0] for n in after}) <= clusters
    for name in held:  # each that was refused really had no room when all is said
        full = nodes is not None and len(after) >= nodes
        assert full or (
            clusters is not None
            and name[0] not in {n[0] for n in after}
            and len({n[0] for n in after}) >= clusters
        )
