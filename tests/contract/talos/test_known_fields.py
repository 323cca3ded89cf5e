"""Which keys a machine configuration may have, at every depth: we say what the official loaders say."""

import copy
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import yaml

from roles import config_known
from roles.config_check import problems
from roles.talos_version import CONTRACTS
from roles.yaml_text import dump_all
from tests.contract.talos import judges, known_fields, matrix

pytestmark = [pytest.mark.needs("go"), pytest.mark.slow]
OURS, THEIRS = "knows no such key", "unknown keys found during decoding"


def test_the_table_is_what_the_official_loaders_know() -> None:
    """If this fails for a new minor: python -m tests.contract.talos.known_fields > roles/config_fields.json"""
    written = (files("roles") / "config_fields.json").read_text("utf-8")
    assert known_fields.table(config_known.kinds()) == written


@pytest.mark.parametrize("minor", judges.MINORS)
def test_a_key_that_nobody_knows_is_refused_by_both_wherever_it_stands(minor: str) -> None:
    """In every map of what we render; where any key is good, as among labels, neither says a word of it."""
    wrong = {
        f"{role} {path}": text
        for role in ("controlplane", "worker")
        for path, text in _with_a_strange_key(matrix.render(minor, role, "bond", "much"))
    }
    assert len(wrong) > 40
    ours = {path for path, text in wrong.items() if any(OURS in p for p in problems(text, CONTRACTS[minor]))}
    said = dict(zip(wrong, judges.check(minor, list(wrong.values())), strict=True))
    assert ours == {path for path, verdict in said.items() if THEIRS in verdict}
    assert any("kubelet" in path.lower() for path in ours)


@pytest.mark.parametrize("minor", judges.MINORS)
def test_a_strange_key_is_refused_by_both_below_every_type(minor: str) -> None:
    """Also in the sections that we never render: each place where the table knows the keys, once."""
    number = CONTRACTS[minor].number
    made = dict(_skeletons(minor))
    assert len(made) > 80
    said = judges.check(minor, [dump_all([document]) for document in made.values()])
    assert [path for path, verdict in zip(made, said, strict=True) if THEIRS not in verdict] == []
    assert [path for path, one in made.items() if not list(config_known.unknown_keys(one, number))] == []


@pytest.mark.parametrize("minor", judges.MINORS)
def test_a_slip_of_the_pen_is_refused_by_both_and_mended_by_name(minor: str) -> None:
    good = matrix.render(minor, "controlplane", "bond", "much")
    slips = {"diskQuotaSupport": "diskQuotaSuport", "certSANs": "certSans", "etcd": "etdc", "token": "tokken"}
    if number := CONTRACTS[minor].number:
        slips |= {"kubelet": "kubelett", "extraMounts": "extraMount"} if number < 14 else {}
        slips |= {"bondMode": "bondmode", "miimon": "miiimon"} if number >= 12 else {}
        slips |= {"podSubnets": "podSubnet", "privateKey": "privatkey"} if number >= 14 else {}
    for right, slip in slips.items():
        wrong = good.replace(f" {right}:", f" {slip}:", 1).replace(f"\n{right}:", f"\n{slip}:", 1)
        assert wrong != good, right
        [verdict] = judges.check(minor, [wrong])
        assert THEIRS in verdict, slip
        assert any(f"did you mean {right}?" in said for said in problems(wrong, CONTRACTS[minor])), slip


def _with_a_strange_key(text: str) -> Iterator[tuple[str, str]]:
    documents = list(yaml.safe_load_all(text))
    for number, document in enumerate(documents):
        for path in _maps(document):
            changed = copy.deepcopy(documents)
            value: Any = changed[number]
            for key in path:
                value = value[key]
            value["strange"] = "x"
            yield f"{document.get('kind', '')}#{number}/{'/'.join(map(str, path))}", dump_all(changed)


def _maps(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _maps(item, (*path, key))


def _skeletons(minor: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A document for each type of the minor, with nothing in it but the way to a key that the type has not."""
    shape = known_fields.shape(minor, config_known.kinds())
    seen: set[str] = set()

    def below(of: str, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if of in seen:
            return
        seen.add(of)
        yield path
        for key, value in shape["types"][of].items():
            name = value.replace("[]", "").replace("{}", "")
            if name:
                marks = tuple(value[at : at + 2] for at in range(0, len(value) - len(name), 2))
                yield from below(name, (*path, key, *marks))

    for kind, of in shape["documents"].items():
        start = (
            {"apiVersion": "v1alpha1", "kind": kind, "name": "a"}
            if kind
            else {"version": "v1alpha1", "debug": False}
        )
        if kind and "name" not in shape["types"][of]:
            del start["name"]
        for path in below(of, ()):
            inner: Any = {"strange": "x"}
            for key in reversed(path):
                inner = [inner] if key == "[]" else {"a" if key == "{}" else key: inner}
            yield f"{kind}/{'/'.join(path)}", {**start, **inner}
