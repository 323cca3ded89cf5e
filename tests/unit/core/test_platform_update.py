"""What is written into PlatformUpdate, and what is taken for somebody else's wish."""

from hypothesis import given
from hypothesis import strategies as st

from controller.core.platform_update import STATES, Past, Truth, Wanted, Window, definition, proposal

WANTED = Wanted("1.13.9", "1.36.3", "stable", (Window("night", ("Sat",), "02:00", 180, "Europe/Berlin"),))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_what_we_wrote_is_no_proposal():
    written = WANTED.to_dict()
    assert proposal(written, written) == {}
    pruned = {key: value for key, value in written.items() if value not in ("", [])}
    assert proposal(pruned, written) == {}  # an API server may leave empty fields out


def test_what_differs_is_told_field_by_field():
    written = WANTED.to_dict()
    found = {**written, "talos": "1.14.0", "frozen": "no"}
    assert proposal(found, written) == {"talos": "1.14.0", "frozen": "no"}
    assert set(proposal(None, written)) == {"talos", "kubernetes", "channel", "windows"}


@given(JSON)
def test_anything_at_all_is_told_in_little_space(found):
    told = proposal(found, WANTED.to_dict())
    assert set(told) <= set(WANTED.to_dict())
    assert len(repr(told)) < 100_000


def test_long_lies_are_cut():
    told = proposal({"talos": "x" * 10**6, "windows": [{"name": "y" * 10**5}] * 1000}, WANTED.to_dict())
    assert len(repr(told)) < 60_000


def _properties(part):
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema["properties"][part]["properties"]


def test_the_schema_has_every_field_that_is_written():
    truth = Truth("UpToDate", "", {"1.13.9": 3}, 3, 3, history=[Past("r", "talos 1.13.9", "succeeded", "")])
    assert set(WANTED.to_dict()) == set(_properties("spec"))
    assert set(truth.to_dict("")) == set(_properties("status"))
    assert set(_properties("status")["state"]["enum"]) == set(STATES)
