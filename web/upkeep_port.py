"""What Settings shows of the installation: who is told of what, and the licence. Orders nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NotifierView:
    """One receiver. Neither its secret nor an address that could hold one is in it."""

    name: str
    kind: str
    receiver: str  # e-mail: addresses; webhook: scheme and host
    topics: Sequence[str]
    waiting: int  # messages not handed over yet
    problem: str  # what the last attempt said; empty: nothing is wrong
    created_at: str


@dataclass(frozen=True, slots=True)
class LicenseView:
    """The licence as it stands. `allowed` numbers are None for any number."""

    standing: str  # community, valid, ending, grace, expired, not-yet, foreign
    id: str  # empty without a licence, as are holder, not_before and expires
    holder: str
    not_before: str
    expires: str
    nodes: int  # that count
    nodes_allowed: int | None
    clusters: int
    clusters_allowed: int | None
    note: str  # what to do; empty if nothing is
    controller: str  # what a licence for this installation names


class Upkeep(Protocol):
    def notifiers(self) -> Sequence[NotifierView]: ...
    def license(self) -> LicenseView: ...
