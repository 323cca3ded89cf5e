"""The fleet's lists, read once for all who look at the same moment. Wraps `Queries`; changes no answer.

What it gives is at most `AGE` old, and a little more while somebody fetches it anew: nobody waits for that.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from web import fleet
from web.ports import ClusterView, NodeView, Queries, SiteView

T = TypeVar("T")
AGE = 1.0  # seconds


class Shared:
    """`monotonic` gives seconds that only rise. What is not one of the three lists goes straight through."""

    def __init__(
        self,
        queries: Queries,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        age: float = AGE,
    ) -> None:
        self._queries = queries
        self._fleet = _Kept(lambda: fleet.build(cast(Queries, self), now()), monotonic, age)
        self._nodes = _Kept(queries.nodes, monotonic, age)
        self._clusters = _Kept(queries.clusters, monotonic, age)
        self._sites = _Kept(queries.sites, monotonic, age)

    def nodes(self) -> Sequence[NodeView]:
        return self._nodes.get()

    def clusters(self) -> Sequence[ClusterView]:
        return self._clusters.get()

    def sites(self) -> Sequence[SiteView]:
        return self._sites.get()

    def gathered(self) -> fleet.FleetPart:
        """What `fleet.gather` gives, which most pages show a part of."""
        return self._fleet.get()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queries, name)


class _Kept(Generic[T]):
    def __init__(self, read: Callable[[], T], monotonic: Callable[[], float], age: float) -> None:
        self._read, self._monotonic, self._age = read, monotonic, age
        self._lock = threading.Lock()
        self._held: tuple[T] | None = None
        self._at = 0.0

    def get(self) -> T:
        held = self._held
        if held is not None and self._monotonic() - self._at < self._age:
            return held[0]
        if not self._lock.acquire(blocking=held is None):  # somebody else fetches it just now
            return cast(tuple[T], held)[0]
        try:
            if self._held is None or self._monotonic() - self._at >= self._age:
                began = self._monotonic()
                self._held, self._at = (self._read(),), began
            return self._held[0]
        finally:
            self._lock.release()


def shared(queries: Queries, *, now: Callable[[], datetime], monotonic: Callable[[], float]) -> Queries:
    return cast(Queries, Shared(queries, now=now, monotonic=monotonic))
