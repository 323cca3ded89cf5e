"""What pages order of enrolments and rollouts. Reading is `Queries`' part; carrying out is the engine's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WouldBe:
    """Which node a machine would become. `node` empty: `why` says what is missing."""

    node: str
    why: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """A token that was just made. `text` is the secret: shown once, and nowhere else."""

    id: str
    site: str
    role: str
    uses: int
    expires_at: str
    text: str = field(repr=False)


class Inviting(Protocol):
    """When machines may ask to join, and with what. Raises OperatorError for what is asked for wrongly."""

    def open(self, *, minutes: int, interface: str, actor: str) -> None:
        """From now on for so long. `interface` empty: where it was open last, or the only one."""
        ...

    def close(self, *, actor: str) -> bool:
        """False: it was closed already."""
        ...

    def invite(self, *, site: str, role: str, uses: int, hours: int, actor: str) -> Invitation: ...


class Enrolling(Protocol):
    """`id_` is an enrolment's. Raises OperatorError or RefusedError with the reason and a way out."""

    def would_be(self, id_: str, name: str = "") -> WouldBe: ...
    def would_be_all(self, ids: Sequence[str]) -> Mapping[str, WouldBe]:
        """Of those that are known."""
        ...

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
