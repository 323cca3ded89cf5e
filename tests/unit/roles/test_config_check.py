"""Our look over a configuration: silent about what we render, and clear about what is wrong."""

import pytest

from roles.config_check import problems
from roles.config_known import kinds
from roles.talos_version import CONTRACTS
from tests.contract.talos import matrix


@pytest.mark.parametrize("minor", CONTRACTS)
@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
def test_what_we_render_is_fine(minor: str, role: str) -> None:
    for network in matrix.NETWORKS:
        assert problems(matrix.render(minor, role, network, "much"), CONTRACTS[minor]) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("version: v1alpha1", "version: v2", "version: v1alpha1"),
        ("machine:", "nonsense: 1\nmachine:", "nonsense: Talos 1.12 knows no such key"),
        ("type: worker", "type: cow", "neither controlplane nor worker"),
        ("type: worker", "type: controlplane", "machine.ca.key is missing"),
        ("key: ''", "key: abc", "must hold no key"),
        ("https://10.0.0.10", "http://10.0.0.10", "no https:// address"),
        ("kind: HostnameConfig", "kind: HostConfig", "knows the kind HostConfig"),
        ("kind: HostnameConfig", "kind: KubeSpanConfig", "came with 1.13"),
        ("apiVersion: v1alpha1", "apiVersion: v1", "apiVersion: v1alpha1"),
        ("disk: /dev", "dusk: /dev", "names no disk"),
        ("version:", "- version:", "not YAML"),
        (
            "kubelet:",
            "kubelett: {}\n    kubelet:",
            "machine.kubelett: Talos 1.12 knows no such key; did you mean kubelet?",
        ),
        ("extraConfig:", "extraConfigg: {}\n        extraConfig:", "machine.kubelet.extraConfigg: Talos"),
        ("hostDNS:", "hostDns: {}\n        hostDNS:", "did you mean hostDNS?"),
        ("hostname:", "hostnam: x\nhostname:", "HostnameConfig.hostnam: Talos 1.12 knows no such key"),
        ("registries:", "registres: {}\n        registries:", "cluster.discovery.registres"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, what: str) -> None:
    good = matrix.render("1.12", "worker")
    assert old in good
    assert any(what in said for said in problems(good.replace(old, new, 1), CONTRACTS["1.12"]))


def test_documents_are_counted() -> None:
    good = matrix.render("1.13", "worker")
    assert any(
        "two documents" in said
        for said in problems(good + "---\n" + good.split("---\n")[1], CONTRACTS["1.13"])
    )
    assert any("2 main documents" in said for said in problems(good + "---\n" + good, CONTRACTS["1.13"]))
    assert problems("", CONTRACTS["1.13"]) == ["there are 0 main documents (without kind); there must be one"]
    assert problems("- 1", CONTRACTS["1.13"]) == ["a document is not a map"]


def test_every_kind_that_we_render_is_in_the_table() -> None:
    assert {
        "HostnameConfig",
        "BondConfig",
        "VLANConfig",
        "Layer2VIPConfig",
        "EnvironmentConfig",
    } <= kinds().keys()


def test_a_key_of_another_minor_says_which() -> None:
    good = matrix.render("1.8", "worker")
    newer = good.replace("machine:\n", "machine:\n    baseRuntimeSpecOverrides: {}\n", 1)
    said = "machine.baseRuntimeSpecOverrides: Talos 1.8 knows no such key; it came with Talos 1.9"
    assert problems(newer, CONTRACTS["1.8"]) == [said]


def test_below_a_value_that_may_be_anything_every_key_is_good() -> None:
    good = matrix.render("1.13", "worker")
    free = good.replace("extraConfig:\n", "extraConfig:\n            nonsense: {deeper: 1}\n", 1)
    assert free != good
    assert problems(free, CONTRACTS["1.13"]) == []


def test_a_key_is_not_repeated_at_length() -> None:
    """It may be a secret that was pasted into the wrong place."""
    [said] = problems(matrix.render("1.13", "worker") + "k" * 500 + ": 1\n", CONTRACTS["1.13"])
    assert len(said) < 160
