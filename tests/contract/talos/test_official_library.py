"""Every configuration we render is what the official library of that Talos minor loads and accepts, without a
warning; and for the same secrets it says what the official generator says, but for a written list.
"""

from typing import Any

import pytest
import yaml

from tests.contract.talos import judges, matrix

pytestmark = [pytest.mark.needs("go"), pytest.mark.slow]

# What we write otherwise than the official generator, and why: docs/machine-configuration.md.
DELIBERATE = (
    "debug",
    "persist",
    "machine.certSANs",
    "machine.install.disk",
    "machine.install.image",
    "machine.kubelet.extraConfig",
    "machine.network",  # the host name, which the generator leaves out
    "machine.registries",
    "cluster.apiServer.certSANs",
    "cluster.discovery.registries.service",
    "cluster.extraManifests",
    "cluster.inlineManifests",
    "HostnameConfig",
)


@pytest.mark.parametrize("minor", judges.MINORS)
def test_it_is_accepted_without_a_warning(minor: str) -> None:
    made = dict(matrix.points(minor))
    verdicts = dict(zip(made, judges.check(minor, list(made.values())), strict=True))
    assert {name: said for name, said in verdicts.items() if said} == {}
    assert len(made) >= 60


@pytest.mark.parametrize("minor", judges.MINORS)
def test_the_judge_refuses_what_is_wrong(minor: str) -> None:
    good = matrix.render(minor, "worker")
    unknown = good.replace("    token:", "    tokken: x\n    token:", 1)
    keyed = good.replace("type: worker", "type: nonsense", 1)
    assert all(judges.check(minor, [unknown, keyed]))


@pytest.mark.parametrize("minor", judges.MINORS)
def test_it_says_what_the_official_generator_says(minor: str) -> None:
    official = judges.generate(
        minor,
        minor,
        bundle=str(matrix.BUNDLE),
        cluster="kn",
        endpoint=matrix.ENDPOINT,
        kubernetes=matrix.CONTRACTS[minor].default_kubernetes,
        disk="/dev/sda",
        image="x",
    )
    for role, text in official.items():
        theirs, ours = flat(text), flat(matrix.render(minor, role))
        different = {key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)}
        assert {key for key in different if not key.startswith(DELIBERATE)} == set()


def flat(text: str) -> dict[str, Any]:
    """Path → value, over all documents; a document's path begins with its kind."""
    leaves: dict[str, Any] = {}
    for document in yaml.safe_load_all(text):
        leaves |= _leaves(document, document.get("kind", ""))
    return leaves


def _leaves(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{path}.{key}".lstrip("."))
    return found
