"""What a simulated rollout starts from and what it leaves behind. Values, and no simulation."""

from dataclasses import dataclass

from controller.core.rollout.messages import Event
from controller.core.rollout.model import RolloutState
from controller.core.rollout.planning import create
from controller.core.simulate.scenario import Scenario


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


def plan(scenario: Scenario) -> RolloutState:
    """The rollout of a scenario, not begun."""
    planned = create(
        f"r{scenario.seed}",
        scenario.target,
        scenario.policy,
        scenario.clusters,
        releases=scenario.releases,
        seed=str(scenario.seed),
        second_person="somebody",
    )
    return planned.state
