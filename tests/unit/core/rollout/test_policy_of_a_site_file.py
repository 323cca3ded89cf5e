"""An update policy from the words of a site file to the limits that the core goes by."""

import pytest

from controller.core.rollout import policy
from controller.core.rollout.codec import dump, load
from controller.core.rollout.model import RolloutState, Target
from inventory.resolve import load_files

FILE = """
apiVersion: fleet/v1
kind: Organization
metadata: {{name: o}}
---
apiVersion: fleet/v1
kind: Site
metadata: {{name: s}}
spec: {{timezone: UTC}}
---
apiVersion: fleet/v1
kind: UpdatePolicy
metadata: {{name: p}}
spec: {spec}
"""


def limits(spec: str) -> policy.Policy:
    (found,) = load_files({"f.yaml": FILE.format(spec=spec)}).policies
    return policy.of(found)


def test_an_empty_spec_gives_the_defaults() -> None:
    assert limits("{}") == policy.Policy()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{waveCounts: [1, 5], wavesBy: site}", {"wave_counts": (1, 5), "waves_by_site": True}),
        ("{maxFailures: 3, maxFailuresPercent: 50}", {"max_fail_clusters": 3, "max_fail_percent": 50}),
        ("{maxFailures: 0}", {"max_fail_clusters": 0}),
        ("{maxUnavailable: 20%}", {"max_unavailable": 1, "max_unavailable_percent": 20}),
        ("{maxUnavailable: 3}", {"max_unavailable": 3, "max_unavailable_percent": 0}),
        ("{waves: [10, 100], bake: [1h]}", {"waves_percent": (10, 100), "bake_seconds": (3600,)}),
    ],
)
def test_what_the_file_says_is_what_the_core_goes_by(spec: str, expected: dict[str, object]) -> None:
    found = limits(spec)
    assert {name: getattr(found, name) for name in expected} == expected
    state = RolloutState("r", Target(talos="1.13.9"), found, (), {}, "r")
    assert load(dump(state)).policy == found  # and what the store keeps of it
