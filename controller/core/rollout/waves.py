"""Order and sizes of waves, decided once when a rollout is made. Pure; integers only."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol


class Candidate(Protocol):
    """A cluster as far as its place in the order goes."""

    @property
    def name(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def canary(self) -> bool: ...


def place(lot: str, site: str) -> str:
    """Where a site stands: another place for every `lot`, the same one whenever asked."""
    return hashlib.sha256(f"{lot}\0{site}".encode()).hexdigest()


def order(lot: str, clusters: Iterable[Candidate]) -> tuple[str, ...]:
    """Names in the order in which they are updated: canaries first, then by the hash of `lot` and site."""
    ranked = sorted(clusters, key=lambda c: (not c.canary, place(lot, c.site), c.site, c.name))
    return tuple(c.name for c in ranked)


def sizes(clusters: int, percents: Sequence[int]) -> tuple[int, ...]:
    """How many clusters each wave has: cumulative percentages, rounded up, each wave at least one."""
    found: list[int] = []
    total = 0
    for percent in percents:
        upto = min(clusters, max(-(-clusters * percent // 100), total + 1))
        if upto > total:
            found.append(upto - total)
        total = upto
    return tuple(found)


def split(names: Sequence[str], percents: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    waves, start = [], 0
    for size in sizes(len(names), percents):
        waves.append(tuple(names[start : start + size]))
        start += size
    return tuple(waves)


def first_wave_limit(clusters: int) -> int:
    """More than this in the first wave takes a second person."""
    return max(1, clusters * 5 // 100)
