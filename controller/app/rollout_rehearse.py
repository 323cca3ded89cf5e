"""Rehearses a planned rollout in the simulator, with the sites' real windows. Touches no machine."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from controller.app.rollout_plan import Made
from controller.app.windows import site_calendars
from controller.core.calendar.allowed import allowed
from controller.core.calendar.spans import Span
from controller.core.rollout.model import Timing
from controller.core.simulate.rehearse import Timeline, faults, rehearse
from controller.core.simulate.scenario import Openings
from inventory.resolve import Resolved

_AHEAD = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class CalendarOpenings(Openings):
    """By site: (start, end) of each stretch, in seconds from now."""

    spans: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def left(self, site: str, at: float) -> float:
        spans = self.spans.get(site, ())
        index = bisect_right(spans, at, key=lambda span: span[0]) - 1
        return max(0.0, spans[index][1] - at) if index >= 0 else 0.0


def _patient(timing: Timing) -> Timing:
    """Simulated machines take minutes to boot: deadlines for quicker ones would fail them all."""
    names = ("stage", "snapshot", "drain", "install", "reboot", "verify", "soak_deadline", "guard_wait")
    usual = Timing()
    return replace(timing, **{name: max(getattr(timing, name), getattr(usual, name)) for name in names})


def rehearsed(
    resolved: Resolved, made: Made, stated: tuple[str, ...], *, now: datetime, seed: int
) -> Timeline:
    """The real plan, the real windows (freezes left out), and the faults that were stated."""
    calendars = site_calendars(resolved.fleet, resolved.windows, resolved.blackouts)
    start = now.astimezone(UTC)
    spans = {
        each.site: tuple(
            ((span.start - start).total_seconds(), (span.end - start).total_seconds())
            for span in allowed(each, Span(start, start + _AHEAD))
        )
        for each in calendars
    }
    limits = replace(made.limits, timing=_patient(made.limits.timing))
    state = replace(made.state, policy=limits)
    members = tuple(cluster for cluster in made.clusters if cluster.name in state.clusters)
    return rehearse(
        made.wanted.target,
        limits,
        members,
        made.releases,
        faults(stated),
        openings=CalendarOpenings(spans=spans),
        state=state,
        seed=seed,
    )
