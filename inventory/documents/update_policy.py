"""How updates roll out: channel, waves, how many may fail, who must agree."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from inventory.calendar import UpdatePolicy as Policy
from inventory.model import Document, Model, SiteSelector
from inventory.moments import Duration, duration_minutes
from inventory.values import refuse

_WAVES, _BAKE = (1, 5, 25, 100), ("24h", "4h", "1h")
_EXPECTED, _RESERVE = "20m", "15m"
_SHARE = re.compile(r"([1-9][0-9]?|100)%", re.ASCII)


def _cumulative(waves: list[int]) -> list[int]:
    if waves != sorted(set(waves)) or waves[-1] != 100:
        refuse("the waves do not rise to 100", "write cumulative percentages, such as [1, 5, 25, 100]")
    return waves


def _share(value: int | str) -> int | str:
    if isinstance(value, int):
        if not 1 <= value <= 100:
            refuse(f"{value} is out of range", "write 1 to 100, or a share such as 20%")
        return value
    if _SHARE.fullmatch(value) is None:
        refuse(f"{value!r} is neither a number nor a percentage", "write a number such as 2, or 20%")
    return value


class UpdatePolicySpec(Model):
    applies_to: SiteSelector | None = Field(default=None, description="Which sites; without it, all.")
    channel: Literal["stable", "beta", "edge"] | None = Field(
        default=None, description="Whose releases are targets and stops. Default: stable."
    )
    waves: Annotated[list[Annotated[int, Field(ge=1, le=100)]], AfterValidator(_cumulative)] | None = Field(
        default=None, min_length=1, description="Cumulative percent of clusters. Default: [1, 5, 25, 100]."
    )
    wave_counts: list[Annotated[int, Field(ge=1, le=1_000_000)]] | None = Field(
        default=None,
        min_length=1,
        description="How many each wave has, instead of waves; a last one has the rest.",
    )
    waves_by: Literal["cluster", "site"] | None = Field(
        default=None, description="What waves count; a site is never parted. Default: cluster."
    )
    bake: list[Duration] | None = Field(
        default=None, min_length=1, description="Healthy time after each wave. Default: [24h, 4h, 1h]."
    )
    max_failures_percent: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Failures tolerated in a wave of more than ten clusters. Default: 5."
    )
    max_failures: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="Failures tolerated in a wave, whatever the percentage allows. Default: 20."
    )
    max_unavailable: Annotated[int | str, AfterValidator(_share)] | None = Field(
        default=None,
        description="Workers of one cluster updated at a time: a number, or such as 20%. Default: 1.",
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

    @model_validator(mode="after")
    def _one_way_to_size_waves(self) -> "UpdatePolicySpec":
        if self.waves and self.wave_counts:
            refuse("waves are given as percentages and as numbers", "keep waves or waveCounts, not both")
        return self


class UpdatePolicy(Document):
    """How updates roll out."""

    kind: Literal["UpdatePolicy"]
    spec: UpdatePolicySpec = Field(default_factory=UpdatePolicySpec, description="The policy.")

    def value(self, sites: tuple[str, ...]) -> Policy:
        """With the defaults filled in, for these sites."""
        spec = self.spec
        percent, unavailable = spec.max_failures_percent, spec.max_unavailable or 1
        return Policy(
            name=self.metadata.name,
            sites=sites,
            channel=spec.channel or "stable",
            waves_percent=tuple(spec.waves or _WAVES),
            bake_minutes=tuple(duration_minutes(text) for text in spec.bake or _BAKE),
            max_failures_percent=5 if percent is None else percent,
            max_unavailable=unavailable if isinstance(unavailable, int) else 1,
            max_unavailable_percent=0 if isinstance(unavailable, int) else int(unavailable[:-1]),
            approval=spec.approval or "none",
            expected_minutes=duration_minutes(spec.expected_duration or _EXPECTED),
            reserve_minutes=duration_minutes(spec.rollback_reserve or _RESERVE),
            accept_downtime=bool(spec.accept_downtime),
            force_drain=bool(spec.force_drain),
            max_parallel=spec.max_parallel or 50,
            timing=dict(spec.timing or {}),
            wave_counts=tuple(spec.wave_counts or ()),
            waves_by_site=spec.waves_by == "site",
            max_failures=20 if spec.max_failures is None else spec.max_failures,
        )
