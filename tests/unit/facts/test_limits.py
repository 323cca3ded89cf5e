"""The bounds that every parser relies on."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts import limits
from facts.spec import FactError


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "deeper"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "deeper"),
        ('{"a": 1, "a": 2}', "duplicate"),
        ("NaN", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("1e999", "out of range"),
        ("18446744073709551616", "out of range"),
        ("9" * 5000, "out of range"),
        ("", "not valid"),
        ("[1", "not valid"),
    ],
)
def test_json_that_is_refused(text: str, why: str):
    with pytest.raises(FactError, match=why):
        limits.load_json(text)


def test_brackets_inside_strings_do_not_count():
    assert limits.load_json(json.dumps(["[" * 50, '"]}{\\'])) == ["[" * 50, '"]}{\\']


def test_depth_limit_is_exact():
    ok = "[" * 16 + "]" * 16
    assert limits.load_json(ok + " ")
    assert limits.load_json(json.dumps([json.loads(ok[1:-1])] + [[]] * 30))
    with pytest.raises(FactError):
        limits.load_json("[" + ok + "]")


@given(st.text())
def test_any_text_is_json_or_a_fact_error(text: str):
    """No other error, whatever a machine says; what is taken is what Python's own reader makes of it."""
    with suppress(FactError):
        assert limits.load_json(text) == json.loads(text)
    with suppress(FactError):
        assert isinstance(limits.load_json_stream(text), list)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_ordinary_json_comes_through(data: object):
    assert limits.load_json(json.dumps(data)) == data
    assert limits.load_json_stream(json.dumps(data) + "\n" + json.dumps(data)) == [data, data]


@given(st.binary())
def test_decoded_text_can_not_act_on_a_terminal(data: bytes):
    text = limits.decode(data)
    assert all(char.isprintable() or char in "\t\n" or ord(char) > 0x9F for char in text)
    assert not set("\x1b\x07\u202e\u2066\ufeff") & set(text)


def test_ansi_sequences_leave_no_trace():
    assert limits.decode(b"a\x1b[31mb\x1b]0;title\x07c\x1b(B") == "abc(B"
    assert limits.word("\u202egnp.exe\x00 \x1b[2J x\ny") == "gnp.exe x y"


def test_long_text_is_cut_and_marked():
    cut = limits.word("x" * 5_000_000)
    assert len(cut) == 256
    assert cut.endswith("…")


@pytest.mark.parametrize("value", [-1, 2**63, True, None, "1e3", "-1", "", "٣", 1.5, [], "9" * 30])
def test_numbers_that_are_refused(value: object):
    with pytest.raises(FactError):
        limits.number(value, what="size")
    assert limits.maybe_number(value) is None


def test_flags_of_old_and_new_tools():
    assert [limits.flag(value) for value in (True, "1", 1, False, "0", None, [], {})] == [True] * 3 + [
        False
    ] * 5
