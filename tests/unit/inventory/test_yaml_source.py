"""The loader: YAML 1.2 scalars, positions, and nothing but SiteFileError for what it refuses."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from inventory.errors import SiteFileError
from inventory.yaml_source import MAX_BYTES, load, show_path

SCALARS = {
    "22:00": "22:00",  # a sexagesimal number in YAML 1.1
    "no": "no",  # false in YAML 1.1
    "on": "on",
    "true": True,
    "Null": None,
    "~": None,
    "": None,
    "-17": -17,
    "+1": 1,
    "0x1F": 31,
    "0o17": 15,
    "017": "017",  # octal in YAML 1.1
    "1_000": "1_000",
    "1.5": 1.5,
    "1e3": 1000.0,
    ".5": 0.5,
    "1.13.9": "1.13.9",
    "2026-12-24": "2026-12-24",  # a date in YAML 1.1
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    "'1'": "1",
    '"true"': "true",
}


@pytest.mark.parametrize(("written", "value"), SCALARS.items())
def test_plain_scalars_follow_the_core_rules_of_yaml_1_2(written, value):
    assert load(f"a: {written}\n", "f")[0].data == {"a": value}


def test_every_key_and_item_knows_its_line():
    (document,) = load("# first\n---\na:\n  b: [x,\n    y]\n  c:\n    - d: 1\n      e: 2\n", "f")
    assert document.line_of(("a", "b", 1)) == 5
    assert document.line_of(("a", "c", 0, "e")) == 8
    assert document.line_of(("a", "c", 0, "nothing", 7)) == 7  # the nearest parent that is written
    assert document.line_of(()) == 3


def test_documents_are_separate_and_empty_ones_are_left_out():
    documents = load("a: 1\n---\n---\n# nothing\n---\nb: 2\n...\n", "f")
    assert [(document.data, document.line) for document in documents] == [({"a": 1}, 1), ({"b": 2}, 6)]


def test_all_problems_of_a_file_are_reported_together():
    with pytest.raises(SiteFileError) as caught:
        load("a: &x 1\na: .inf\nb: !t 3\n", "f")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 2, 3]


def test_a_hostile_file_makes_a_short_report():
    with pytest.raises(SiteFileError) as caught:
        load("a: 1\n" * 10_000, "f")
    assert len(caught.value.problems) == 100


def test_the_limit_counts_bytes():
    with pytest.raises(SiteFileError, match="larger than 1 MiB"):
        load("#" + "ü" * (MAX_BYTES // 2), "f")
    assert load("#" + "u" * (MAX_BYTES - 1), "f") == []


def test_windows_line_ends_and_a_byte_order_mark_are_fine():
    assert load("\ufeffa: 1\r\nb: 2\r\n", "f")[0].data == {"a": 1, "b": 2}


def test_billion_laughs_is_refused_at_the_first_alias():
    lines = ["a: &a [x]"] + [
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(20)
    ]
    with pytest.raises(SiteFileError, match="alias"):
        load("\n".join(lines), "f")


def test_paths_read_as_people_write_them():
    assert show_path(("spec", "nodes", 2, "address")) == "spec.nodes[2].address"
    assert show_path(()) == ""


@pytest.mark.parametrize("unit", ["[", "{", "- ", "? ", "{a: ", "[{", "? [", "- ? ", "!", "&", "a:\n "])
def test_deep_or_endless_text_is_refused_without_running_out_of_stack(unit):
    assert outcome(unit * (MAX_BYTES // len(unit) - 1))[1]


@given(st.text() | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?~ \n\t\r0x.\\\x00\u2028\ud800"))
@example("? ")
@example("*a : b")
@example("%YAML 3.0\n---\na")
@example("!<tag:x> a")
@example('"\\UFFFFFFFF"')
@example('"\\ud800"')
@example("- - - - -" * 20)
def test_any_text_loads_or_is_refused(text):
    documents, problems = outcome(text)
    last = len(text.splitlines()) + 1
    assert all(1 <= problem.line <= last and problem.what and problem.fix for problem in problems)
    assert all(document.data is not None for document in documents)


def outcome(text):
    try:
        return load(text, "f"), ()
    except SiteFileError as error:
        return (), error.problems


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(alphabet="abc :#-'\"{}é", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(plain, st.booleans())
def test_what_a_dumper_writes_is_read_back(value, flow):
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    text = yaml.dump(value, Dumper=Plain, default_flow_style=flow, allow_unicode=True)
    documents = load(text, "f")
    assert [document.data for document in documents] == ([] if value is None else [value])
