"""RFC 6902: the operations, the examples of its appendix A that fit, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from roles import json_patch, patches


@pytest.mark.parametrize(
    ("document", "operation", "result"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": [2]}, {"a": [1, [2]]}),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/b"}, {"a": 1}),
        ({"a": [1, 2, 3]}, {"op": "remove", "path": "/a/1"}, {"a": [1, 3]}),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": None}, {"a": None}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2]}, {"op": "move", "from": "/a/0", "path": "/a/1"}, {"a": [2, 1]}),
        ({"a": {"b": 1}}, {"op": "copy", "from": "/a", "path": "/c"}, {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a/b": 1, "m~n": 2}, {"op": "test", "path": "/a~1b", "value": 1}, {"a/b": 1, "m~n": 2}),
        ({"m~n": 2}, {"op": "remove", "path": "/m~0n"}, {}),
        ({"": 1}, {"op": "replace", "path": "/", "value": 2}, {"": 2}),
    ],
)
def test_operations(document: Any, operation: dict[str, Any], result: Any) -> None:
    before = repr(document)
    assert json_patch.apply(document, operation) == result
    assert repr(document) == before


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ({"op": "remove", "path": "/x"}, "/x is not there"),
        ({"op": "remove", "path": ""}, "whole document"),
        ({"op": "replace", "path": "/a/7", "value": 1}, "/a/7 is not there"),
        ({"op": "add", "path": "/a/01", "value": 1}, "can't be added"),
        ({"op": "add", "path": "/x/y", "value": 1}, "/x is not there"),
        ({"op": "add", "path": "/x"}, "no value"),
        ({"op": "test", "path": "/a/0", "value": True}, "not what the test expects"),
        ({"op": "move", "from": "/a", "path": "/a/0"}, "into itself"),
        ({"op": "merge", "path": "/a"}, "no JSON patch operation"),
        ({"op": "add", "path": "a", "value": 1}, "no path of a JSON patch"),
        ({"op": "copy", "path": "/b"}, "no from of a JSON patch"),
    ],
)
def test_what_is_refused(operation: dict[str, Any], what: str) -> None:
    with pytest.raises(OperatorError, match=what):
        json_patch.apply({"a": [1]}, operation, "node n: patch 1")


def test_they_take_their_turn_among_strategic_patches() -> None:
    documents = [{"machine": {"sysctls": {"a": "1"}}}, {"apiVersion": "v1alpha1", "kind": "K", "name": "n"}]
    made = patches.apply(
        documents,
        [
            {"machine": {"sysctls": {"b": "2"}}},
            {"op": "move", "from": "/machine/sysctls/b", "path": "/machine/sysctls/c"},
            {"op": "add", "path": "/x", "value": 1, "kind": "K", "name": "n"},
        ],
    )
    assert made[0] == {"machine": {"sysctls": {"a": "1", "c": "2"}}}
    assert made[1]["x"] == 1
    with pytest.raises(OperatorError, match="no document L to patch"):
        patches.apply(documents, [{"op": "add", "path": "/x", "value": 1, "kind": "L"}])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    _JSON,
    st.sampled_from(["add", "remove", "replace", "test", "move", "copy"]),
    st.text("/ab01-~", max_size=6),
    _JSON,
)
def test_any_operation_either_fits_or_is_refused(document: Any, op: str, path: str, value: Any) -> None:
    before = repr(document)
    with suppress(OperatorError):
        json_patch.apply(document, {"op": op, "path": path, "from": path, "value": value})
    assert repr(document) == before
