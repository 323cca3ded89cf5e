"""Selections: what they pick, what they say of names that do not exist, and how they travel."""

from pathlib import Path

import pytest

from inventory.errors import OperatorError
from inventory.resolve import load_files
from inventory.selectors import Selection

HA = Path(__file__).parents[3] / "examples/ha-site.yaml"
HOME = Path(__file__).parents[3] / "examples/appliance.yaml"


@pytest.fixture(scope="module")
def fleet():
    return load_files({path.name: path.read_text(encoding="utf-8") for path in (HA, HOME)}).fleet


def names(fleet, **words):
    return [node.name for node in Selection.parse(**words).pick(fleet)]


def test_nothing_selected_is_everything(fleet):
    assert names(fleet) == list(fleet.nodes)
    assert str(Selection()) == "everything"
    assert Selection().everything


def test_values_of_one_kind_are_alternatives_and_kinds_narrow(fleet):
    assert names(fleet, sites=["home"]) == ["home-1"]
    assert names(fleet, sites=["home,berlin"]) == list(fleet.nodes)
    assert names(fleet, clusters=["berlin"], nodes=["berlin-cp-2", "berlin-worker-1"]) == [
        "berlin-cp-2",
        "berlin-worker-1",
    ]
    assert names(fleet, labels=["region=eu"]) == [name for name in fleet.nodes if name.startswith("berlin")]


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        ({"sites": ["berln"]}, "no site 'berln'", "did you mean 'berlin'"),
        ({"nodes": ["berlin-cp-9"]}, "no node 'berlin-cp-9'", "berlin-cp-1"),
        ({"clusters": ["xyz"]}, "no cluster 'xyz'", "known: berlin, home"),
        ({"labels": ["region"]}, "not a label selector", "key=value"),
        ({"labels": ["region=eu", "region=us"]}, "both 'eu' and 'us'", "once"),
        ({"labels": ["region=us"]}, "no node matches label region=us", "values of 'region' in use: eu"),
        ({"labels": ["zone=eu"]}, "no node matches", "labels in use: region"),
        ({"sites": ["home"], "nodes": ["berlin-cp-1"]}, "no node matches site home", "loosen"),
    ],
)
def test_a_selection_that_finds_nothing_says_why(fleet, words, what, fix):
    with pytest.raises(OperatorError) as caught:
        names(fleet, **words)
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_it_travels_as_json():
    selection = Selection.parse(sites=["a", "b"], labels=["k=v", "m="])
    assert selection.to_dict() == {"sites": ["a", "b"], "labels": {"k": "v", "m": ""}}
    assert Selection.from_dict(selection.to_dict()) == selection
    assert Selection.from_dict({}) == Selection()
    assert hash(selection) == hash(Selection.from_dict(selection.to_dict()))
