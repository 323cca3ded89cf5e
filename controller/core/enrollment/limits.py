"""How many may knock: per source and in all, counted over the last minute. Pure: time is handed in.

Looked at before anything is read of a connection, so a flood costs an accept and a close each.
"""

import ipaddress
from collections import Counter, deque
from dataclasses import dataclass, field

PER_SOURCE, IN_ALL, SECONDS = 5, 60, 60.0
HALF_OPEN = 20  # connections at once that have not proved anything yet


@dataclass(slots=True)
class Admission:
    """`admit` a connection, then `settled` once it proved something or ended."""

    per_source: int = PER_SOURCE
    in_all: int = IN_ALL
    half_open: int = HALF_OPEN
    _recent: deque[tuple[float, str]] = field(default_factory=deque)
    _by_source: Counter[str] = field(default_factory=Counter)
    _open: int = 0

    def admit(self, address: str, monotonic: float) -> str:
        """Empty, or why not."""
        self._forget(monotonic)
        source = source_of(address)
        if self._by_source[source] >= self.per_source:
            return f"more than {self.per_source} attempts in a minute from this address"
        if len(self._recent) >= self.in_all:
            return f"more than {self.in_all} attempts in a minute in all"
        if self._open >= self.half_open:
            return f"more than {self.half_open} connections at once that say nothing"
        self._recent.append((monotonic, source))
        self._by_source[source] += 1
        self._open += 1
        return ""

    def settled(self) -> None:
        self._open -= 1

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] <= now - SECONDS:
            _, source = self._recent.popleft()
            self._by_source[source] -= 1
            if not self._by_source[source]:
                del self._by_source[source]


def source_of(address: str) -> str:
    """Who has one IPv6 address has 2**64 of them, so those count by their network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
