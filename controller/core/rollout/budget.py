"""How many failures a wave may have. Pure; integers only, and whatever is not a success is a failure.

The size is that of the wave as it was frozen: nothing that happens later makes it smaller.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from controller.core.rollout.model import ClusterJob, Phase, Policy

SMALL = 10  # clusters; a wave of no more tolerates no failure


@dataclass(frozen=True, slots=True)
class Count:
    """A wave's clusters by how they stand."""

    size: int
    succeeded: int
    failed: int
    cancelled: int

    @property
    def finished(self) -> bool:
        return self.succeeded + self.failed + self.cancelled == self.size


def count(clusters: Iterable[ClusterJob]) -> Count:
    size = succeeded = failed = cancelled = 0
    for cluster in clusters:
        size += 1
        succeeded += cluster.phase is Phase.SUCCEEDED
        failed += cluster.phase is Phase.FAILED
        cancelled += cluster.phase is Phase.CANCELLED
    return Count(size, succeeded, failed, cancelled)


def tolerance(policy: Policy, wave: int, size: int) -> int:
    """Percent of a wave that may fail; the first wave and small ones: none."""
    return 0 if wave == 0 or size <= SMALL else policy.max_fail_percent


def exceeded(policy: Policy, wave: int, counted: Count) -> str:
    """Why the rollout stops at this wave; empty if it does not."""
    if counted.failed == 0:
        return ""
    percent = tolerance(policy, wave, counted.size)
    told = f"{counted.failed} of {counted.size} clusters of wave {wave + 1} failed"
    if counted.failed * 100 >= percent * counted.size:
        return f"{told}; the policy stops at {percent} %" if percent else f"{told}; this wave tolerates none"
    if counted.failed > policy.max_fail_clusters:
        return f"{told}; the policy allows {policy.max_fail_clusters}"
    return ""
