"""What a simulated rollout starts from and what it leaves behind. Values, and no simulation."""

from dataclasses import dataclass, replace

from controller.core.rollout.messages import Event
from controller.core.rollout.model import RolloutState
from controller.core.rollout.planning import create
from controller.core.simulate.scenario import Scenario

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, at a true time."""

    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class Report:
    scenario: Scenario
    state: RolloutState
    lines: tuple[Line, ...]
    steps: int
    kills: int
    seconds: float  # of the simulated world
    acts: int
    backs: tuple[RolloutState, ...] = ()  # rollbacks that followed, in their order


def plan(scenario: Scenario) -> RolloutState:
    """The rollout of a scenario, not begun."""
    planned = create(
        f"r{scenario.seed}",
        scenario.target,
        scenario.policy,
        scenario.clusters,
        releases=scenario.releases,
        seed=str(scenario.seed),
    )
    return replace(planned.state, started_by=OPERATOR if scenario.alone else "somebody else")
