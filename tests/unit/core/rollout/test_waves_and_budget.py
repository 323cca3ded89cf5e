"""Sizes of waves, order, and the failure budget: tables and properties."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.rollout.budget import Count, count, exceeded
from controller.core.rollout.model import ClusterJob, Phase, Policy
from controller.core.rollout.planning import Cluster
from controller.core.rollout.policy import parse
from controller.core.rollout.waves import counted, first_wave_limit, order, sizes, split
from inventory.errors import RefusedError


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        (0, ()),
        (1, (1,)),
        (2, (1, 1)),
        (5, (1, 1, 1, 2)),
        (20, (1, 1, 3, 15)),
        (100, (1, 4, 20, 75)),
        (101, (2, 4, 20, 75)),
        (1000, (10, 40, 200, 750)),
    ],
)
def test_sizes(clusters: int, expected: tuple[int, ...]) -> None:
    assert sizes(clusters, (1, 5, 25, 100)) == expected


@given(st.integers(0, 3000), st.sets(st.integers(1, 99)))
def test_waves_hold_everyone_once(clusters: int, percents: set[int]) -> None:
    found = sizes(clusters, (*sorted(percents), 100))
    assert sum(found) == clusters
    assert all(size > 0 for size in found)


@pytest.mark.parametrize(
    ("clusters", "counts", "expected"),
    [
        (10, (1, 4), (1, 4, 5)),
        (5, (1, 4), (1, 4)),
        (3, (1, 4), (1, 2)),
        (1, (3,), (1,)),
        (0, (1,), ()),
    ],
)
def test_sizes_by_number(clusters: int, counts: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert counted(clusters, counts) == expected


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.sampled_from("xyz"), max_size=30),
    st.lists(st.integers(1, 5), max_size=3),
)
def test_a_site_is_never_parted(sites: dict[str, str], counts: list[int]) -> None:
    clusters = [Cluster(name, site, ()) for name, site in sites.items()]
    waves = split(order("r1", clusters), (1, 50, 100), counts=counts, together=sites)
    assert sorted(name for wave in waves for name in wave) == sorted(sites)
    found = [{sites[name] for name in wave} for wave in waves]
    assert sum(map(len, found)) == len(set(sites.values()))  # each site in one wave only
    if counts:
        assert [len(wave) for wave in found[: len(counts)]] == [
            min(n, len(w)) for n, w in zip(counts, found, strict=False)
        ]


def test_order_is_frozen_by_rollout_and_site_and_canaries_go_first() -> None:
    clusters = [Cluster(f"c{i}", f"s{i}", (), canary=i == 7) for i in range(20)]
    first = order("r1", clusters)
    assert first[0] == "c7"
    assert first == order("r1", list(reversed(clusters)))
    assert first != order("r2", clusters)
    assert split(first, (1, 100)) == (first[:1], first[1:])
    assert [first_wave_limit(n) for n in (1, 19, 20, 39, 40, 100)] == [1, 1, 1, 1, 2, 5]


@pytest.mark.parametrize(
    ("wave", "size", "failed", "percent", "stops"),
    [
        (0, 1, 0, 5, False),
        (0, 100, 1, 100, True),  # the first wave tolerates none
        (0, 200, 1, 100, True),  # not one in two hundred
        (1, 10, 1, 50, True),  # nor does a small one
        (1, 11, 1, 10, False),
        (1, 11, 2, 10, True),
        (1, 100, 28, 29, False),
        (1, 100, 29, 29, True),  # int(0.29 * 100) would be 28
        (3, 75, 3, 5, False),
        (3, 75, 4, 5, True),
        (1, 20, 1, 0, True),
    ],
)
def test_budget(wave: int, size: int, failed: int, percent: int, stops: bool) -> None:
    policy = Policy(max_fail_percent=percent, max_fail_clusters=10_000)
    assert bool(exceeded(policy, wave, Count(size, size - failed, failed, 0))) is stops


def test_the_absolute_limit_holds_beside_the_percentage() -> None:
    policy = Policy(max_fail_percent=100, max_fail_clusters=20)
    assert exceeded(policy, 3, Count(1000, 980, 20, 0)) == ""
    assert exceeded(policy, 3, Count(1000, 979, 21, 0)) != ""


@given(st.integers(11, 500), st.data(), st.integers(0, 100))
def test_budget_against_fractions(size: int, data: st.DataObject, percent: int) -> None:
    failed = data.draw(st.integers(0, size))
    policy = Policy(max_fail_percent=percent, max_fail_clusters=10_000)
    wanted = failed > 0 and Fraction(failed, size) >= Fraction(percent, 100)
    assert bool(exceeded(policy, 1, Count(size, 0, failed, size - failed))) is wanted


def test_counting_of_phases() -> None:
    phases = [Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.RUNNING, Phase.PENDING]
    jobs = [ClusterJob(f"c{i}", "s", 0, (), {}, phase=phase) for i, phase in enumerate(phases)]
    assert count(jobs) == Count(size=6, succeeded=2, failed=1, cancelled=1)
    assert not count(jobs).finished
    assert count(jobs[:4]).finished


def test_cancelled_makes_no_wave_smaller() -> None:
    policy = Policy(max_fail_percent=50)
    assert exceeded(policy, 1, Count(20, 0, 9, 11)) == ""


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"max_fail_percent": "5 %"},
        {"max_fail_percent": 5.0},
        {"max_fail_percent": True},
        {"max_fail_percent": 101},
        {"max_fail_percent": None},
        {"max_fail_percent": 5, "max_fail_percnt": 1},
        {"max_fail_percent": 5, "waves_percent": [5, 1, 100]},
        {"max_fail_percent": 5, "waves_percent": []},
        {"max_fail_percent": 5, "waves_percent": [1, 50]},
        {"max_fail_percent": 5, "approval": "maybe"},
        {"max_fail_percent": 5, "bake_seconds": [-1]},
        {"max_fail_percent": 5, "timing": {"soak": 0}},
        {"max_fail_percent": 5, "timing": {"soke": 1}},
        {"max_fail_percent": 5, "accept_downtime": "yes"},
    ],
)
def test_a_policy_that_cannot_be_read_is_no_policy(values: dict[str, object] | None) -> None:
    with pytest.raises(RefusedError):
        parse(values)


def test_defaults_of_a_policy() -> None:
    assert parse({"max_fail_percent": 5}) == Policy()
