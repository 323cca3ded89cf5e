"""The way between versions: adjacent minors, supported pairs, skew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.rollout.model import HopKind, Target
from controller.core.rollout.stops import newer
from controller.core.rollout.versions import path, skew_problem
from inventory.errors import RefusedError
from inventory.versions import kubernetes_supported, minor

TALOS = ("1.10.9", "1.11.3", "1.11.6", "1.12.11", "1.13.9")
KUBERNETES = ("1.32.4", "1.33.6", "1.34.1", "1.35.4", "1.36.3")


def way(talos: str, kubernetes: str, /, **target: str) -> list[tuple[str, str, str]]:
    hops = path(talos, kubernetes, Target(**target), talos_releases=TALOS, kubernetes_releases=KUBERNETES)
    return [(str(h.kind), h.source, h.version) for h in hops]


def test_every_minor_is_a_stop() -> None:
    assert way("1.11.3", "1.33.6", talos="1.13.9") == [
        ("talos-legacy", "1.11.3", "1.12.11"),
        ("talos-legacy", "1.12.11", "1.13.9"),
    ]
    assert way("1.13.1", "1.33.6", talos="1.13.9") == [("talos", "1.13.1", "1.13.9")]
    assert way("1.13.9", "1.33.6", talos="1.13.9") == []


def test_kubernetes_goes_one_minor_at_a_time_api_servers_first() -> None:
    assert way("1.13.9", "1.33.6", kubernetes="1.35.4") == [
        ("control-plane", "1.33.6", "1.34.1"),
        ("kubelet", "1.33.6", "1.34.1"),
        ("control-plane", "1.34.1", "1.35.4"),
        ("kubelet", "1.34.1", "1.35.4"),
    ]


def test_both_are_interleaved_so_that_every_stop_is_supported() -> None:
    found = way("1.11.6", "1.30.0", talos="1.13.9", kubernetes="1.31.0")
    versions = [h[2] for h in found]
    assert versions.index("1.31.0") < versions.index("1.13.9")


@pytest.mark.parametrize(
    ("talos", "kubernetes", "target", "said"),
    [
        ("1.13.9", "1.33.6", {"talos": "1.12.11"}, "does not go back"),
        ("1.10.9", "1.28.0", {"talos": "1.13.9"}, "no supported way"),
        ("1.8.0", "1.31.0", {"talos": "1.10.9"}, "no release of 1.9"),
        ("1.13.9", "1.33.6", {"talos": "1.15.0"}, "no release of 1.14"),
    ],
)
def test_refusals(talos: str, kubernetes: str, target: dict[str, str], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        way(talos, kubernetes, **target)


@given(st.integers(10, 13), st.integers(10, 13), st.integers(32, 34), st.integers(32, 36))
def test_every_way_is_adjacent_and_supported(a: int, b: int, c: int, d: int) -> None:
    latest = {10: "1.10.9", 11: "1.11.6", 12: "1.12.11", 13: "1.13.9"}
    kubes = {32: "1.32.4", 33: "1.33.6", 34: "1.34.1", 35: "1.35.4", 36: "1.36.3"}
    talos, kubernetes = latest[a], kubes[c]
    try:
        hops = path(
            talos,
            kubernetes,
            Target(latest[b], kubes[d]),
            talos_releases=TALOS,
            kubernetes_releases=KUBERNETES,
        )
    except RefusedError:
        return
    apiserver = kubernetes
    for hop in hops:
        assert minor(hop.version) - minor(hop.source) in (0, 1)
        if hop.kind is HopKind.KUBELET:
            assert not newer(hop.version, apiserver)
        elif hop.kind is HopKind.CONTROL_PLANE:
            apiserver = hop.version
        else:
            talos = hop.version
        assert kubernetes_supported(talos, apiserver)
    assert (talos, apiserver) == (latest[b], kubes[d])


@pytest.mark.parametrize(
    ("servers", "components", "kubelets", "fine"),
    [
        (["1.34.0"], ["1.34.0"], ["1.34.0", "1.31.0"], True),
        (["1.34.0"], [], ["1.30.0"], False),
        (["1.34.0", "1.33.0"], ["1.33.0"], ["1.33.0"], True),
        (["1.34.0", "1.33.0"], [], ["1.34.0"], False),  # newer than the oldest API server
        (["1.35.0", "1.33.0"], [], [], False),
        (["1.34.0"], ["1.32.0"], [], False),
        (["1.34.0"], ["1.35.0"], [], False),
    ],
)
def test_skew(servers: list[str], components: list[str], kubelets: list[str], fine: bool) -> None:
    assert (skew_problem(servers, components=components, kubelets=kubelets) == "") is fine


def test_a_prerelease_comes_before_its_release() -> None:
    assert newer("1.14.0", "1.14.0-rc.1")
    assert newer("1.14.0-rc.1", "1.14.0-rc.0")
    assert newer("1.13.10", "1.13.9")
