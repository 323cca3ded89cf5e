"""The document of a release: what was written is read again, and nothing else is taken for one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.release import document
from controller.core.release.document import CHANNELS, Artifact, Release
from inventory.errors import OperatorError

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
ARTIFACTS = st.lists(
    st.builds(
        Artifact,
        st.lists(NAME, min_size=1, max_size=8).map("/".join),
        st.just("") | NAME.map(lambda name: f"https://x/{name}"),
        st.text(max_size=50),
    ),
    max_size=8,
    unique_by=(lambda each: each.target, lambda each: each.url or each.target),
).map(tuple)
RELEASES = st.integers(0, 2**31 - 1).flatmap(
    lambda counter: st.builds(
        Release,
        st.sampled_from(["talos", "kubernetes", "platform"]),
        st.from_regex(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(-[0-9a-z.]{1,20})?", fullmatch=True),
        st.just(counter),
        st.integers(0, counter),
        st.lists(st.from_regex(r"[0-9]{1,4}\.[0-9]{1,4}", fullmatch=True), max_size=5).map(tuple),
        st.text(max_size=200),
        ARTIFACTS,
    )
)
GOOD = {
    "format": "cto-release/v1", "kind": "talos", "version": "1.13.9", "counter": 5, "floor": 2, "upgrades": ["1.12"],
    "notes": "", "artifacts": [{"target": "a/b", "url": "https://x/y", "what": ""}],
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def bytes_of(**changes):
    return json.dumps({**GOOD, **changes}).encode()


@given(RELEASES)
def test_read_again_as_it_was_written(release):
    assert document.parse(release.to_bytes(), "x") == release


@given(RELEASES, st.sampled_from(CHANNELS))
def test_its_target_tells_its_channel(release, channel):
    target = document.target_of(channel, release)
    assert document.channel_of(target) == channel
    assert document.channel_of(target + "x") == ""


@given(st.sampled_from(list(GOOD)), JSON)
def test_any_value_in_any_field_is_taken_or_refused_by_name(field, value):
    try:
        made = document.parse(bytes_of(**{field: value}), "x")
    except OperatorError:
        return
    assert document.parse(made.to_bytes(), "x") == made


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data):
    with pytest.raises(OperatorError):
        document.parse(data, "x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 100_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
        (b" " * (document.MAX_BYTES + 1), "longer than"),
        (bytes_of().replace(b'"counter": 5', b'"counter": 5, "counter": 6'), "a name comes twice"),
        (bytes_of(later=1), "newer cto"),
        (bytes_of(format="cto-release/v2"), "newer cto"),
        (bytes_of(kind="windows"), "kind"),
        (bytes_of(version="1.13"), "version"),
        (bytes_of(version="1.13.9/../../x"), "version"),
        (bytes_of(version="1.13.9\n"), "version"),
        (bytes_of(version="\u0661.13.9"), "version"),
        (bytes_of(counter=True), "counter"),
        (bytes_of(counter=-1), "counter"),
        (bytes_of(counter=2**31), "counter"),
        (bytes_of(counter=1.5), "counter"),
        (bytes_of(floor=6), "floor"),
        (bytes_of(upgrades="1.12"), "upgrades"),
        (bytes_of(upgrades=["1"]), "upgrades"),
        (bytes_of(upgrades=["1.1"] * 65), "upgrades"),
        (bytes_of(notes="x" * 16_001), "notes"),
        (bytes_of(artifacts={}), "artifacts"),
        (bytes_of(artifacts=[1]), "artifacts"),
        (bytes_of(artifacts=[{"target": "a"}]), "artifacts"),
        (bytes_of(artifacts=[{"target": "a", "url": "", "what": 1}]), "artifacts"),
        (bytes_of(artifacts=[{"target": "a", "url": "", "what": "x" * 501}]), "artifacts"),
        (bytes_of(artifacts=[{"target": "../a", "url": "", "what": ""}]), "artifacts.target"),
        (bytes_of(artifacts=[{"target": "/a", "url": "", "what": ""}]), "artifacts.target"),
        (bytes_of(artifacts=[{"target": "a", "url": "http://x", "what": ""}]), "artifacts.url"),
        (
            bytes_of(artifacts=[{"target": "a", "url": u, "what": ""} for u in ("", "https://x")]),
            "artifacts.target",
        ),
        (bytes_of(artifacts=[{"target": t, "url": "https://x", "what": ""} for t in "ab"]), "artifacts.url"),
        (bytes_of(artifacts=[{"target": f"a{n}", "url": "", "what": ""} for n in range(513)]), "artifacts"),
    ],
)
def test_what_is_wrong_is_named(data, words):
    with pytest.raises(OperatorError) as refused:
        document.parse(data, "x")
    assert words in refused.value.what
    assert len(refused.value.what) < 250


def release(counter, floor=0):
    return Release("talos", f"1.0.{counter}", counter, floor, ())


def test_the_highest_floor_withdraws_what_is_below():
    offered = [release(1), release(2), release(3, floor=2), release(4)]
    assert [each.counter for each in document.current(offered)] == [4, 3, 2]
    assert [each.counter for each in document.current(offered, floor=4)] == [4]  # seen once, for ever
    assert document.current([], 3) == ()
