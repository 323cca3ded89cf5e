"""Substitution in templates: types, escapes, repetition, and nothing that evaluates."""

from hypothesis import given
from hypothesis import strategies as st

from inventory.template import Filler


def fill(tree, **variables):
    filler = Filler(variables)
    return filler.fill(tree), filler.unknown


def test_a_whole_value_keeps_its_type_and_text_around_it_makes_text():
    assert fill({"a": "${n}", "b": "x${n}y${n}", "c": ["${ n }"]}, n=7)[0] == {"a": 7, "b": "x7y7", "c": [7]}


def test_a_doubled_dollar_is_a_literal():
    assert fill("a$${n}b", n=7) == ("a${n}b", [])
    assert fill("$${n}", n=7) == ("${n}", [])
    assert fill("$5 and $$", n=7) == ("$5 and $$", [])


def test_values_are_not_looked_at_again():
    assert fill("${a}${b}", a="${b}", b="x") == ("${b}x", [])


def test_unknown_names_are_told_with_their_place_and_expressions_are_unknown_names():
    _, unknown = fill({"a": ["${x}"], "b": "${n + 1}"}, n=7)
    assert unknown == [("x", ("a", 0)), ("n + 1", ("b",))]


def test_count_repeats_a_node_with_its_index():
    filler = Filler({"n": 2})
    nodes = [{"name": "cp-${index}", "count": "${n}"}, {"name": "w", "count": 0}, {"name": "last"}]
    made = [(position, node["name"]) for position, node in filler.repeat(nodes, ("nodes",))]
    assert made == [(0, "cp-1"), (0, "cp-2"), (2, "last")]
    assert filler.unknown == []


def test_a_wrong_count_is_left_for_validation():
    for count in (-1, 501, "three", True, None):
        assert len(list(Filler({}).repeat([{"name": "a", "count": count}], ()))) == 1


@given(st.text())
def test_text_without_variables_comes_back_as_it_was(text):
    filled, unknown = fill(text)
    if "${" not in text:
        assert filled == text
        assert unknown == []
