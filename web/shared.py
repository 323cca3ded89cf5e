"""The fleet's lists, read once for all who look at the same moment. Wraps `Queries`; changes no answer.

Every page is made of one moment, and says which. It is at most `AGE` old; while somebody reads the next one
the others go on with it, up to `LONGEST`: after that they wait. An act of a visitor ends it at once.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from web import fleet
from web.ports import ClusterView, NodeView, Queries, SiteView

T = TypeVar("T")
AGE, LONGEST = 1.0, 5.0  # seconds


class Moment:
    """`Queries` whose lists are all of `read_at`. What is not one of the lists goes straight through."""

    def __init__(self, queries: Queries, read_at: datetime) -> None:
        self.read_at = read_at
        self._queries = queries
        self._nodes, self._clusters, self._sites = queries.nodes(), queries.clusters(), queries.sites()
        self._made: dict[Hashable, Any] = {}
        self._lock = threading.RLock()

    def nodes(self) -> Sequence[NodeView]:
        return self._nodes

    def clusters(self) -> Sequence[ClusterView]:
        return self._clusters

    def sites(self) -> Sequence[SiteView]:
        return self._sites

    def gathered(self, now: datetime) -> fleet.FleetPart:
        """What `fleet.gather` gives, which most pages show a part of."""
        return self.remembered("fleet", lambda: fleet.build(cast(Queries, self), now))

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made of this moment under that key, made once for all who ask."""
        if key not in self._made:
            with self._lock:
                if key not in self._made:
                    self._made[key] = make()
        return cast(T, self._made[key])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queries, name)


class Shared:
    """`monotonic` gives seconds that only rise."""

    def __init__(
        self,
        queries: Queries,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        age: float = AGE,
        longest: float = LONGEST,
    ) -> None:
        self._queries, self._now, self._monotonic = queries, now, monotonic
        self._age, self._longest = age, longest
        self._lock = threading.Lock()
        self._held: tuple[Moment, float] | None = None

    def moment(self) -> Moment:
        held = self._held
        if held is not None and self._old(held) < self._age:
            return held[0]
        patient = held is None or self._old(held) >= self._longest
        if not self._lock.acquire(blocking=patient):  # somebody else reads it just now
            return cast(tuple[Moment, float], held)[0]
        try:
            if self._held is None or self._old(self._held) >= self._age:
                began = self._monotonic()
                self._held = Moment(self._queries, self._now()), began
            return self._held[0]
        finally:
            self._lock.release()

    def outdate(self) -> None:
        """Something was ordered: whoever looks next sees what came of it."""
        with self._lock:  # a moment that is being read now may be older than the act
            self._held = None

    def nodes(self) -> Sequence[NodeView]:
        return self.moment().nodes()

    def clusters(self) -> Sequence[ClusterView]:
        return self.moment().clusters()

    def sites(self) -> Sequence[SiteView]:
        return self.moment().sites()

    def gathered(self, now: datetime) -> fleet.FleetPart:
        return self.moment().gathered(now)

    def _old(self, held: tuple[Moment, float]) -> float:
        return self._monotonic() - held[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queries, name)


def shared(queries: Queries, *, now: Callable[[], datetime], monotonic: Callable[[], float]) -> Queries:
    return cast(Queries, Shared(queries, now=now, monotonic=monotonic))
