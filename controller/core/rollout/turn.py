"""Working memory of one call of `step`: the moment, the limits, and what was decided so far. Pure."""

import hashlib
from dataclasses import dataclass, field

from controller.core.rollout.messages import Event, Gates, Intent
from controller.core.rollout.model import Policy, RolloutState, Timing

MAX_GAP = 60.0  # seconds of one step that count on the rollout's own clock


@dataclass(slots=True)
class Turn:
    """Mutable, lives for one step only."""

    rollout: str
    policy: Policy
    seed: str
    now: float
    clock: float
    observed: float  # seconds since the last step that were really observed; 0 after a gap
    gates: Gates
    remedy: bool
    running: bool  # new nodes may be started as far as the rollout's own status goes
    aborting: bool
    stopped: bool  # a wave's failure budget is used up
    frozen: str
    failures: dict[str, int]
    intents: list[Intent] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    dirty: bool = False  # something changed that the waves must look at

    @property
    def timing(self) -> Timing:
        return self.policy.timing

    def tell(self, kind: str, subject: str, text: str, **data: str | float) -> None:
        self.events.append(Event(kind, subject, text, data))

    def jitter(self, key: str) -> float:
        """A fraction from 0 up to 1 that depends on the rollout's seed and the key only."""
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / (1 << 48)

    def backoff(self, key: str, attempt: int) -> float:
        """Seconds before the next attempt: exponential, with full jitter (0 up to the whole)."""
        whole = min(self.timing.backoff_cap, self.timing.backoff * 2.0**attempt)
        return whole * self.jitter(key)


def grid(clock: float, interval: float) -> float:
    """The next moment of a common grid: clusters that only wait are looked at together."""
    return (clock // interval + 1) * interval


def clocks(state: RolloutState, now: float) -> tuple[float, float]:
    """(the rollout's clock now, seconds really observed since the last step)."""
    passed = now - state.wall if state.wall else 0.0
    if passed <= 0:
        return state.clock, 0.0
    return state.clock + min(passed, MAX_GAP), passed if passed <= MAX_GAP else 0.0
