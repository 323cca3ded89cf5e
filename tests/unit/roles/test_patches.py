"""Strategic merge patches: the same result as the official configpatcher gives, and clear refusals."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from roles import patches

CASES = yaml.safe_load((Path(__file__).parents[2] / "fixtures" / "roles" / "patches.yaml").read_text())
MAIN = {"version": "v1alpha1", "machine": {"type": "worker", "certSANs": ["a"]}, "cluster": {}}
HOST = {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostname": "kn-1"}


def dense(value: Any) -> Any:
    """Without empty lists and maps, which mean nothing: the official one writes some and leaves out others."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := dense(item)) not in ([], {})}
    return [dense(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_as_the_official_patcher(case: dict[str, Any]) -> None:
    base = list(yaml.safe_load_all(case["base"]))
    before = copy.deepcopy(base)
    result = patches.apply(base, [yaml.safe_load(patch) for patch in case["patches"]])
    assert dense(result) == dense(list(yaml.safe_load_all(case["result"])))
    assert base == before


@pytest.mark.parametrize(
    ("patch", "what"),
    [
        ({"kind": "HostnameConfig", "hostname": "x"}, "both apiVersion and kind"),
        ({"apiVersion": "v1alpha1", "machine": {}}, "both apiVersion and kind"),
        ({"$patch": "delete"}, "the main document can't be deleted"),
        ({"machine": {"type": {"$patch": "replace"}}}, r"\$patch: replace is unknown"),
        (
            {"machine": {"certSANs": [{"name": "b", "$patch": "delete"}]}},
            "machine.certSANs has no entry to delete",
        ),
        ({"machine": {"type": {"a": "b"}}}, "machine.type is a single value, the patch has a map"),
        ({"machine": {"certSANs": "x"}}, "machine.certSANs is a list, the patch has a single value"),
        ({"machine": []}, "machine is a map, the patch has a list"),
    ],
)
def test_what_does_not_fit(patch: dict[str, Any], what: str) -> None:
    with pytest.raises(OperatorError, match=what) as caught:
        patches.apply([MAIN, HOST], [{}, patch], where="node kn-1")
    assert str(caught.value).startswith("node kn-1: patch 2")


def test_deleting_what_is_not_there_changes_nothing() -> None:
    """A layer for many nodes may delete what only some of them have."""
    gone = {"apiVersion": "v1alpha1", "kind": "TimeSyncConfig", "$patch": "delete"}
    assert patches.apply([MAIN, HOST], [gone, {"machine": {"sysctls": {"$patch": "delete"}}}]) == [MAIN, HOST]


_SCALARS = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["a", "b"])
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "machine", "$patch", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)
_PATCHES = st.dictionaries(st.sampled_from(["machine", "cluster", "x", "$patch"]), _TREES, max_size=3)


@given(_PATCHES)
def test_any_patch_is_applied_or_refused(patch: dict[str, Any]) -> None:
    try:
        patches.apply([MAIN, HOST], [patch, patch])
    except OperatorError:
        return


@given(_PATCHES)
def test_an_empty_patch_changes_nothing(base: dict[str, Any]) -> None:
    assert patches.apply([base], [{}]) == [base]
