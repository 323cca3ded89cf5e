"""Rollouts in a simulated world, with the people who order them: pauses, approvals, aborts, rollbacks."""

import heapq

from controller.core.rollout.messages import Command, Verb
from controller.core.rollout.model import RolloutState, Status
from controller.core.rollout.promotion import needs_approval
from controller.core.rollout.rollback import rollback_of
from controller.core.rollout.step import settled
from controller.core.simulate.controller import Controller
from controller.core.simulate.invariants import Checker
from controller.core.simulate.report import OPERATOR, Report
from inventory.errors import RefusedError

OPERATOR_ROUND = 600.0


class Runner(Controller):
    """`run` returns when nothing more happens."""

    def command(self, verb: Verb, **more: str | int) -> None:
        self.said += 1
        # An operator's command is typed again if the controller was down.
        wanted = Command(f"op-{self.said}", verb, OPERATOR, "as the scenario says", **more)  # type: ignore[arg-type]
        rollout = self.state.rollout

        def say() -> None:
            if self.state.rollout != rollout:
                return
            if self.up:
                if wanted.verb in (Verb.APPROVE, Verb.APPROVE_ALONE):
                    self.checker.approved.setdefault(wanted.wave, self.world.time)
                self.step(wanted)
            else:
                self.later(30.0, say)

        if self.trace:
            self.trace(f"{self.world.time:10.1f}  operator: {verb}")
        self.later(0.0, say)

    def _operator(self) -> None:
        state = self.state
        wave = state.waves[state.wave] if state.waves else None
        if state.status is Status.PAUSED:
            self.command(Verb.RESUME)
        elif wave and not wave.approved_by and needs_approval(state.policy, state.wave, wave):
            verb = Verb.APPROVE_ALONE if self.scenario.alone else Verb.APPROVE
            self.command(verb, wave=state.wave)
        self.later(OPERATOR_ROUND, self._operator)

    # The whole.

    def run(self, *, limit: float = 10 * 86400.0) -> Report:
        if self.scenario.operator:
            self.later(OPERATOR_ROUND, self._operator)
        if self.scenario.abort_at:
            self.later(self.scenario.abort_at, lambda: self.command(Verb.ABORT))
        for when, _ in self.scenario.faults.jumps:
            self.later(when, self.step)
        self._drive(limit)
        first = self.state
        backs = tuple(self._take_back(first, number, limit) for number in range(len(self.scenario.backs)))
        return Report(
            self.scenario,
            first,
            tuple(self.lines),
            self.steps,
            self.kills,
            self.world.time,
            self.acts,
            tuple(back for back in backs if back is not None),
        )

    def _drive(self, limit: float) -> None:
        """The present rollout to its end."""
        self.step()
        for at in self.scenario.pauses:
            self.later(at, lambda: self.command(Verb.PAUSE))
        until, over = self.world.time + limit, False
        while self.heap and self.world.time < until and not over:
            self.world.time, _, what = heapq.heappop(self.heap)
            what()
            over = self.up and settled(self.state) and self.state.status is not Status.PAUSED
        self.checker.closing(self.state, settled=over)

    def _take_back(self, first: RolloutState, number: int, limit: float) -> RolloutState | None:
        """Somebody rolls the first rollout back; the second time, too, that is what they name."""
        self.life += 1  # nothing of the rollout before is heard any more
        self._pass(self.scenario.backs[number])
        at = self.wall(self.world.time)
        seen = {name: self.world.sight(name, at) for name in first.clusters}
        try:
            state = rollback_of(first, f"{first.rollout}-back{number}", seen)
        except RefusedError:
            return None
        if self.trace:
            self.trace(f"{self.world.time:10.1f}  operator: rollback {number + 1}")
        self.state = self.stored = state
        self.checker = Checker(self.scenario, self.world, state)
        self.wake, self.inbox, self.up = -1.0, [], True
        self.last_step = self.world.time
        self._drive(limit)
        return self.state

    def _pass(self, seconds: float) -> None:
        until = self.world.time + seconds
        self.later(seconds, lambda: None)
        while self.world.time < until:
            self.world.time, _, what = heapq.heappop(self.heap)
            what()
