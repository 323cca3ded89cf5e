"""Order and sizes of waves, decided once when a rollout is made. Pure; integers only."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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


def counted(units: int, counts: Sequence[int]) -> tuple[int, ...]:
    """The same from numbers: each wave has so many, the last one the rest."""
    found: list[int] = []
    for number in counts:
        found.append(min(number, units - sum(found)))
    return tuple(size for size in (*found, units - sum(found)) if size)


def split(
    names: Sequence[str],
    percents: Sequence[int],
    *,
    counts: Sequence[int] = (),
    together: Mapping[str, str] = {},
) -> tuple[tuple[str, ...], ...]:
    """Waves of names in their order. `counts` instead of `percents`, where there are any; `together`: name →
    the site that no wave parts, which is then what is counted.
    """
    units: dict[str, list[str]] = {}
    for name in names:
        units.setdefault(together.get(name, name), []).append(name)
    members = list(units.values())
    waves, start = [], 0
    for size in counted(len(members), counts) if counts else sizes(len(members), percents):
        waves.append(tuple(name for unit in members[start : start + size] for name in unit))
        start += size
    return tuple(waves)


def first_wave_limit(clusters: int) -> int:
    """More than this in the first wave takes a second person, who approves it."""
    return max(1, clusters * 5 // 100)
