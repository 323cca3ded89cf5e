"""Our wire table against the official descriptors, entry by entry."""

import pytest

from facts.talos.messages import wire
from tests.contract.talos_api.official import describe
from tests.unit.talos.test_wire import PARTIAL

pytestmark = pytest.mark.needs("go")


@pytest.fixture(scope="module")
def official():
    return describe()


def test_every_message_has_exactly_the_official_fields(official):
    wrong = []
    for name, fields in wire().messages.items():
        ours = {one.number: (one.name, one.type, one.repeated, one.oneof, one.optional) for one in fields}
        theirs = {
            one["number"]: (one["name"], one["type"], one["repeated"], one["oneof"], one["optional"])
            for one in official["messages"].get(name, ())
        }
        wrong += [
            (name, number, ours.get(number), theirs.get(number))
            for number in sorted(ours.keys() | (set() if name in PARTIAL else theirs.keys()))
            if ours.get(number) != theirs.get(number)
        ]
        if name not in official["messages"]:
            wrong.append((name, "unknown"))
    assert wrong == []


def test_every_enum_has_exactly_the_official_values(official):
    assert {name: dict(values) for name, values in wire().enums.items()} == {
        name: official["enums"].get(name) for name in wire().enums
    }


def test_every_method_is_the_official_one(official):
    keys = ("path", "request", "response", "streams_request", "streams_response")
    for name, methods in wire().services.items():
        theirs = {tuple(one[key] for key in keys) for one in official["services"][name]}
        ours = {tuple(getattr(one, key) for key in keys) for one in methods}
        assert ours - theirs == set()
