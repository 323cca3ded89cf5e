"""What must hold before a cluster is begun, and what a way back does not wait for."""

from dataclasses import replace

import pytest

from controller.core.rollout.preconditions import MAX_SKEW, MIN_CERTIFICATE, Readiness, problems

FINE = Readiness(free_bytes=2000, image_bytes=1000, skew_seconds=1.0, certificate_seconds=1e9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"free_bytes": 1999}, "free disk space: 1999 bytes, needed 2000"),
        ({"free_bytes": None}, "free disk space: could not be read"),
        ({"skew_seconds": MAX_SKEW}, ""),
        ({"skew_seconds": MAX_SKEW + 1}, "a node's clock is off: 6 s, allowed 5"),
        ({"skew_seconds": None}, "a node's clock is off: could not be read"),
        ({"certificate_seconds": MIN_CERTIFICATE}, ""),
        ({"certificate_seconds": 10.0}, "a certificate's rest: 10 s, needed 1209600"),
        ({"other_rollout": "r9"}, "rollout r9 is under way at its site"),
        ({"drain_problem": "web can spare none"}, "a drain would not finish: web can spare none"),
    ],
)
def test_each_has_its_reason(change: dict[str, object], said: str) -> None:
    assert problems(replace(FINE, **change)) == ((said,) if said else ())  # type: ignore[arg-type]


def test_a_way_back_does_not_wait_for_what_an_ill_node_can_not_tell() -> None:
    ill = Readiness(None, 0, None, 10.0, remedy=True)
    assert problems(ill) == ()
    assert problems(replace(ill, other_rollout="r9")) == ("rollout r9 is under way at its site",)
