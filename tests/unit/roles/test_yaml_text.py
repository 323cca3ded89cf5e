"""YAML out: whatever is written is read back the same, by a YAML 1.1 reader and without surprises for a 1.2 one."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roles.yaml_text import dump, dump_all

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(
    [
        "yes",
        "1e3",
        "0o17",
        "0x1f",
        ".inf",
        "-",
        "~",
        "null",
        "a\nb\n",
        "a\nb",
        " lead",
        "trail ",
        "#",
        "a: b",
        "<<",
        "=",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    assert yaml.safe_load(dump(value)) == value


@pytest.mark.parametrize(
    "text", ["1e3", "0o17", "0b1", "1_000", "+1", ".5", "-.inf", "12:30", "2026-01-01", "0x1F"]
)
def test_what_a_1_2_reader_takes_for_a_number_is_quoted(text: str) -> None:
    assert re.fullmatch(r"""a: (["']).*\1\n""", dump({"a": text}))


def test_a_value_used_twice_is_written_twice() -> None:
    shared = {"a": ["b"]}
    assert "&" not in dump([shared, shared])


def test_documents_are_separated() -> None:
    assert list(yaml.safe_load_all(dump_all([{"a": 1}, {"b": "---"}]))) == [{"a": 1}, {"b": "---"}]


def test_keys_keep_their_order() -> None:
    assert dump({"b": 1, "a": 2}) == "b: 1\na: 2\n"
