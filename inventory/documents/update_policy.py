"""How updates roll out: channel, waves, how many may fail, who must agree."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from inventory.calendar import UpdatePolicy as Policy
from inventory.model import Document, Model, SiteSelector
from inventory.moments import Duration, duration_minutes
from inventory.values import refuse

_WAVES, _BAKE = (1, 5, 25, 100), ("24h", "4h", "1h")
_EXPECTED, _RESERVE = "20m", "15m"


def _cumulative(waves: list[int]) -> list[int]:
    if waves != sorted(set(waves)) or waves[-1] != 100:
        refuse("the waves do not rise to 100", "write cumulative percentages, such as [1, 5, 25, 100]")
    return waves


class UpdatePolicySpec(Model):
    applies_to: SiteSelector | None = Field(default=None, description="Which sites; without it, all.")
    channel: Literal["stable", "beta", "edge"] | None = Field(default=None, description="Default: stable.")
    waves: Annotated[list[Annotated[int, Field(ge=1, le=100)]], AfterValidator(_cumulative)] | None = Field(
        default=None, min_length=1, description="Cumulative percent of clusters. Default: [1, 5, 25, 100]."
    )
    bake: list[Duration] | None = Field(
        default=None, min_length=1, description="Healthy time after each wave. Default: [24h, 4h, 1h]."
    )
    max_failures_percent: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Failures tolerated in a wave of more than ten clusters. Default: 5."
    )
    max_unavailable: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Workers of one cluster updated at a time. Default: 1."
    )
    approval: Literal["none", "first-wave", "each-wave"] | None = Field(
        default=None, description="Who must agree before waves start. Default: none."
    )
    expected_duration: Duration | None = Field(
        default=None, description="What one node takes, until it was measured. Default: 20m."
    )
    rollback_reserve: Duration | None = Field(
        default=None, description="Kept free at a window's end to undo a node's update. Default: 15m."
    )
    accept_downtime: bool | None = Field(
        default=None, description="Update clusters with one control plane, which are away meanwhile."
    )
    force_drain: bool | None = Field(
        default=None, description="When a drain's time is over, go on with what is left. Default: false."
    )
    max_parallel: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Clusters updated at a time. Default: 50."
    )
    timing: dict[str, Annotated[float, Field(gt=0, lt=1e8)]] | None = Field(
        default=None, description="Seconds: drain, reboot, verify, soak and others; see docs/updates.md."
    )


class UpdatePolicy(Document):
    """How updates roll out."""

    kind: Literal["UpdatePolicy"]
    spec: UpdatePolicySpec = Field(default_factory=UpdatePolicySpec, description="The policy.")

    def value(self, sites: tuple[str, ...]) -> Policy:
        """With the defaults filled in, for these sites."""
        spec = self.spec
        percent = spec.max_failures_percent
        return Policy(
            name=self.metadata.name,
            sites=sites,
            channel=spec.channel or "stable",
            waves_percent=tuple(spec.waves or _WAVES),
            bake_minutes=tuple(duration_minutes(text) for text in spec.bake or _BAKE),
            max_failures_percent=5 if percent is None else percent,
            max_unavailable=spec.max_unavailable or 1,
            approval=spec.approval or "none",
            expected_minutes=duration_minutes(spec.expected_duration or _EXPECTED),
            reserve_minutes=duration_minutes(spec.rollback_reserve or _RESERVE),
            accept_downtime=bool(spec.accept_downtime),
            force_drain=bool(spec.force_drain),
            max_parallel=spec.max_parallel or 50,
            timing=dict(spec.timing or {}),
        )
