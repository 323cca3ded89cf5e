"""The controller of a simulated world: delivers, loses, delays, dies, starts again. Decides nothing itself,
and knows no people: `runner` has them.
"""

import heapq
from collections.abc import Callable
from random import Random

from controller.core.rollout.codec import dump, load
from controller.core.rollout.messages import (
    Act,
    Admission,
    ClusterSeen,
    Intent,
    LookAtCluster,
    LookAtNode,
    NodeSeen,
    Observation,
    Outcome,
    Preflight,
    Preflighted,
    Probe,
    Probed,
    Restarted,
    Result,
)
from controller.core.rollout.model import RolloutState
from controller.core.rollout.step import next_wake, step
from controller.core.simulate.invariants import Checker
from controller.core.simulate.report import Line, plan
from controller.core.simulate.scenario import Scenario
from controller.core.simulate.world import World
from inventory.errors import InvariantError

BATCH = 0.5


class Died(Exception):
    """The controller died at this point of the step."""


class Controller:
    """One world, one controller, one rollout at a time."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        state: RolloutState | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.scenario, self.trace = scenario, trace
        self.random = Random(f"{scenario.seed}/run")  # noqa: S311 - a simulation
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        randomness = Random(f"{scenario.seed}/world")  # noqa: S311 - a simulation
        self.world = World(scenario, randomness, self.later)
        self.state = state or plan(scenario)
        self.stored = self.state
        self.checker = Checker(scenario, self.world, self.state)
        self.life = 0  # of the controller
        self.up = True
        self.last_step = 0.0
        self.wake = -1.0
        self.steps = self.kills = self.acts = 0
        self.lines: list[Line] = []
        self.said = 0
        self.inbox: list[Observation] = []

    # Time.

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.world.time + seconds, self.count, what))

    def wall(self, at: float) -> float:
        return self.scenario.start + at + sum(s for when, s in self.scenario.faults.jumps if when <= at)

    def chance(self, probability: float) -> bool:
        return self.world.time < self.scenario.faults.until and self.random.random() < probability

    def latency(self) -> float:
        return min(8.0, self.random.expovariate(1 / self.scenario.faults.latency))

    # The gates, in true time: whether the clock can be trusted is somebody else's question.

    def frozen(self) -> str:
        return "frozen by an operator" if self.scenario.openings.is_frozen(self.world.time) else ""

    def admits(self, site: str, now: float, seconds: float) -> Admission:
        left = self.scenario.openings.left(site, self.world.time)
        if left >= seconds:
            return Admission(ok=True, until=now + left)
        return Admission(ok=False, reason="closed" if not left else "closes too soon")

    # The controller.

    def step(self, *observations: Observation) -> None:
        if not self.up:
            return
        self.steps += 1
        passed, self.last_step = self.world.time - self.last_step, self.world.time
        self.checker.observed += passed if passed <= 60 else 0.0
        try:
            self._step(observations)
        except Died:
            self._die()
            return
        if self.world.time + next_wake(self.state) < self.wake or self.wake <= self.world.time:
            self._tick()

    def _step(self, observations: tuple[Observation, ...]) -> None:
        killed = self._killed()
        state, intents, events = step(self.state, observations, self.wall(self.world.time), self)
        if killed == 0:
            raise Died
        self.state = self.stored = state
        for said in observations:
            if isinstance(said, ClusterSeen):
                self.checker.shown(said)
        for event in events:
            if self.trace:
                self.trace(f"{self.world.time:10.1f}  {event.kind:16} {event.subject}: {event.text}")
            self.lines.append(Line(self.world.time, event))
            self.checker.told(event)
        reach = self.random.randint(0, len(intents)) if killed == 2 else len(intents)
        for intent in () if killed == 1 else intents[:reach]:
            self.perform(intent)
        if killed is not None:
            raise Died

    def _killed(self) -> int | None:
        """The point at which the controller dies in this step: not stored, stored, or amid its intents."""
        if self.scenario.faults.kill_at is not None:
            number, point = self.scenario.faults.kill_at
            return point if self.steps == number else None
        return self.random.randrange(3) if self.chance(self.scenario.faults.kill) else None

    def _die(self) -> None:
        self.kills += 1
        self.life += 1
        self.up, self.wake, self.inbox = False, -1.0, []
        down = self.scenario.faults.down or (5.0,)
        self.later(down[self.kills % len(down)], self._restart)

    def _restart(self) -> None:
        text = dump(self.stored)
        self.state = load(text)
        if self.state != self.stored or dump(self.state) != text:
            raise InvariantError(
                f"seed {self.scenario.seed}: the state is not what was stored",
                fix="compare dump() and load()",
            )
        self.up = True
        if self.trace:
            self.trace(f"{self.world.time:10.1f}  controller starts again")
        self.step(Restarted())

    def _tick(self) -> None:
        wait = max(0.01, next_wake(self.state))
        due = self.wake = self.world.time + wait
        life = self.life

        def tick() -> None:
            if self.life == life and self.wake == due:
                self.step()

        self.later(wait, tick)

    def hear(self, observation: Observation, seconds: float) -> None:
        """Arrives later, perhaps twice, unless the controller that asked is dead."""
        life = self.life

        def arrive() -> None:
            if self.life == life:
                self._receive(observation)

        self.later(seconds, arrive)
        if self.chance(self.scenario.faults.duplicate):
            self.later(seconds + self.random.uniform(0, 60), arrive)

    def _receive(self, observation: Observation) -> None:
        """What arrives within the same half second is decided on together, as a real caller does."""
        self.inbox.append(observation)
        if len(self.inbox) == 1:
            life = self.life

            def open_inbox() -> None:
                if self.life == life:
                    found, self.inbox = self.inbox, []
                    self.step(*found)

            self.later((self.world.time // BATCH + 1) * BATCH - self.world.time, open_inbox)

    def perform(self, intent: Intent) -> None:
        if isinstance(intent, Act):
            self.acts += 1
            self._act(intent)
            return
        if self.chance(self.scenario.faults.lost_read):
            return
        asked = self.latency() / 2

        def read() -> None:
            self.hear(self._read(intent), self.latency() / 2)

        self.later(asked, read)

    def _read(self, intent: Probe | LookAtNode | LookAtCluster | Preflight) -> Observation:
        at = self.wall(self.world.time)
        if isinstance(intent, LookAtNode):
            return NodeSeen(intent.cluster, at, self.world.view(intent.node))
        if isinstance(intent, LookAtCluster):
            return self.world.sight(intent.cluster, at)
        if isinstance(intent, Preflight):
            return Preflighted(intent.cluster, at)
        act = Act(intent.key, intent.cluster, intent.node, intent.hop, intent.step, 0, 0.0)
        return Probed(intent.cluster, intent.node, intent.key, self.world.probe(act))

    def _act(self, act: Act) -> None:
        faults, checker = self.scenario.faults, self.checker

        def answer(result: Result, seconds: float) -> None:
            if not self.chance(faults.lost_reply):
                self.hear(Outcome(act.cluster, act.node, act.key, result), seconds + self.latency())

        def arrive() -> None:
            checker.acting(act)
            if self.trace:
                self.trace(f"{self.world.time:10.1f}    {act.key}")
            took, result = self.world.do(act)
            answer(result, took)

        if self.chance(faults.not_sent):
            answer(Result.NOT_SENT, 1.0)
        elif self.chance(faults.lost_request):
            answer(Result.INDETERMINATE, self.random.uniform(5, 60))
        else:
            self.later(self.latency(), arrive)
