"""What pages order of enrolments and rollouts. Reading is `Queries`' part; carrying out is the engine's."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WouldBe:
    """Which node a machine would become. `node` empty: `why` says what is missing."""

    node: str
    why: str


class Enrolling(Protocol):
    """`id_` is an enrolment's. Raises OperatorError or RefusedError with the reason and a way out."""

    def would_be(self, id_: str, name: str = "") -> WouldBe: ...
    def approve(self, id_: str, *, name: str, accept_conflict: bool, reason: str, actor: str) -> str:
        """The node that it is from now on."""
        ...

    def reject(self, id_: str, *, reason: str, again: bool, actor: str) -> None:
        """`again`: its token may be used once more."""
        ...


class RolloutOrders(Protocol):
    def order(
        self, rollout: str, verb: str, *, reason: str, actor: str, cluster: str = "", wave: int = -1
    ) -> None:
        """`verb`: pause, resume, abort, cancel (a cluster), approve (a wave, from 0)."""
        ...
