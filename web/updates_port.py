"""What the Updates page reads: the feed, its releases, what people propose in clusters. Orders nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FeedView:
    """Where releases come from. `ends`: part of its metadata → until when that is believed.

    `every_hours`: between looks that the controller takes by itself, 0: none; `problem`: why the last failed.
    """

    url: str
    channel: str
    checked_at: str  # empty: never
    ends: Mapping[str, str]
    every_hours: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    name: str
    kind: str  # talos, kubernetes, platform
    version: str
    state: str  # ready, not-staged, withdrawn
    upgrades: Sequence[str]  # minor versions from which it is one step; empty: any
    notes: str  # its publisher's own text
    files: Sequence[str]
    counter: int  # grows with each release of the channel
    seen_at: str
    staged_at: str


@dataclass(frozen=True, slots=True)
class ProposalView:
    """What somebody wrote into a cluster's PlatformUpdate. `by` is what they call themselves, no proof."""

    id: int
    cluster: str
    wants: Mapping[str, str]
    by: str
    seen_at: str


@dataclass(frozen=True, slots=True)
class MirrorView:
    """A cluster in which a PlatformUpdate is kept."""

    cluster: str
    written_at: str
    problem: str


class Updates(Protocol):
    def feed(self) -> FeedView | None:
        """None while no publisher is trusted."""
        ...

    def releases(self) -> Sequence[ReleaseView]:
        """Of the channel, the newest first; none while no publisher is trusted."""
        ...

    def proposals(self) -> Sequence[ProposalView]:
        """Those that nobody has closed, the youngest first."""
        ...

    def mirrors(self) -> Sequence[MirrorView]: ...
