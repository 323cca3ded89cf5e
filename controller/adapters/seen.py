"""The list of what was announced, with contradictions kept visible. Pure: no network, no clock.

An announcement proves nothing: anybody on the segment can send any. So two claims that contradict each other
stand side by side, flagged, until one of them runs out; they are never merged, and none is believed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from itertools import combinations, product
from typing import TypeVar

from controller.app.ports import Seen

MAX_INSTANCES = 500
_MAX_CLAIMS = 8  # different claims kept of one name; more are as suspicious as eight
_MAX_ADDRESSES = 16
_MAX_LIFE = 4500.0  # seconds: 75 minutes, the longest that mDNS suggests

_Addresses = frozenset[str]
K = TypeVar("K")


@dataclass(slots=True)
class _Instance:
    """All that was claimed of one service name; each claim with the moment it runs out."""

    name: str
    at: datetime
    services: dict[tuple[str, int], float] = field(default_factory=dict)  # (host name, port)
    enroll_ids: dict[str, float] = field(default_factory=dict)


class SeenList:
    """`monotonic` and `at` are given with every call: the caller has the clocks."""

    def __init__(self) -> None:
        self._instances: dict[str, _Instance] = {}
        self._hosts: dict[str, dict[_Addresses, float]] = {}
        self._left: dict[str, None] = {}  # names that said goodbye, the oldest first
        self.ignored = 0  # announcements beyond the cap

    def service(
        self, name: str, host: str, port: int, *, at: datetime, monotonic: float, life: float
    ) -> None:
        """An SRV record."""
        instance = self._instance(name, at)
        if instance is not None:
            instance.at = at
            _claim(instance.services, (host.lower(), port), monotonic, life)
            self._hosts.setdefault(host.lower(), {})

    def text(self, name: str, enroll_id: str, *, at: datetime, monotonic: float, life: float) -> None:
        """A TXT record, of which only the enroll id is kept."""
        instance = self._instance(name, at)
        if instance is not None:
            _claim(instance.enroll_ids, display(enroll_id)[:64], monotonic, life)

    def addresses(self, host: str, addresses: Iterable[str], *, monotonic: float, life: float) -> None:
        """The A or AAAA records of one host that came together. Kept only for hosts that a service names."""
        if host.lower() not in self._hosts:
            return
        by_family: dict[int, set[str]] = {}
        for address in addresses:
            if not address.startswith("fe80:"):  # useless without the interface it is meant for
                by_family.setdefault(ip_address(address).version, set()).add(address)
        for family in by_family.values():
            together = frozenset(sorted(family)[:_MAX_ADDRESSES])
            _claim(self._hosts[host.lower()], together, monotonic, life)

    def goodbye(self, name: str) -> None:
        """The service says that it leaves."""
        gone = self._instances.pop(name.lower(), None)
        if gone is not None:
            # Answers sent before it are still on their way; they must not bring it back until they run out.
            self._left[name.lower()] = None
            if len(self._left) > MAX_INSTANCES:
                del self._left[next(iter(self._left))]
            self._drop_unused_hosts()

    def incomplete(self) -> tuple[str, ...]:
        """Names that nothing can be shown of yet: no port, no address, or no text."""
        return tuple(i.name for i in self._instances.values() if not (self._addresses_of(i) and i.enroll_ids))

    def expiring(self, monotonic: float, within: float) -> tuple[str, ...]:
        """Names whose last service claim runs out soon: ask for them again."""
        return tuple(
            i.name
            for i in self._instances.values()
            if i.services and max(i.services.values()) - monotonic < within
        )

    def places(self) -> tuple[tuple[str, str], ...]:
        """(name, host) of every name that has a host with an address."""
        return tuple(
            (i.name, host)
            for i in self._instances.values()
            for host, _ in i.services
            if self._hosts.get(host)
        )

    def announce(self, name: str, at: datetime) -> None:
        """A PTR record: the name exists."""
        self._left.pop(name.lower(), None)
        self._instance(name, at)

    def snapshot(self, monotonic: float) -> tuple[Seen, ...]:
        """What can be shown now, by name."""
        self._expire(monotonic)
        shown = [i for _, i in sorted(self._instances.items()) if i.services and self._addresses_of(i)]
        conflicts = self._conflicts(shown)
        return tuple(
            Seen(
                instance=display(i.name),
                addresses=self._addresses_of(i),
                port=next(reversed(i.services))[1],
                enroll_id=next(reversed(i.enroll_ids), ""),
                at=i.at,
                conflict="; ".join(conflicts[i.name]),
            )
            for i in shown
        )

    def _instance(self, name: str, at: datetime) -> _Instance | None:
        key = name.lower()
        if key in self._left:
            return None
        if key not in self._instances:
            if len(self._instances) >= MAX_INSTANCES:
                self.ignored += 1
                return None
            self._instances[key] = _Instance(name, at)
        return self._instances[key]

    def _addresses_of(self, instance: _Instance) -> tuple[str, ...]:
        found = {
            address
            for host, _ in instance.services
            for together in self._hosts.get(host, ())
            for address in together
        }
        return tuple(sorted(found, key=lambda a: (ip_address(a).version, ip_address(a).packed)))[
            :_MAX_ADDRESSES
        ]

    def _conflicts(self, shown: list[_Instance]) -> Mapping[str, list[str]]:
        reasons = {instance.name: list(self._own_contradictions(instance)) for instance in shown}
        shared: dict[tuple[str, object], list[str]] = defaultdict(list)
        for instance in shown:
            for enroll_id in set(instance.enroll_ids) - {""}:
                shared["has the same enroll id", enroll_id].append(instance.name)
            ports = {port for _, port in instance.services}
            for place in product(self._addresses_of(instance), ports):
                shared["has the same address and port", place].append(instance.name)
        for (what, _), names in shared.items():
            for name in names if len(names) > 1 else ():
                others = [display(other) for other in names if other != name]
                more = f" and {len(others) - 3} more" if len(others) > 3 else ""
                reason = f"{what} as {', '.join(others[:3])}{more}"
                if reason not in reasons[name]:
                    reasons[name].append(reason)
        return reasons

    def _own_contradictions(self, instance: _Instance) -> Iterator[str]:
        if len(instance.services) > 1:
            places = " and ".join(f"{display(host)} port {port}" for host, port in instance.services)
            yield f"announced from two places: {places}"
        if len(instance.enroll_ids) > 1:
            yield f"announced with two enroll ids: {' and '.join(instance.enroll_ids)}"
        for host, _ in instance.services:
            for one, other in combinations(self._hosts.get(host, {}), 2):
                same_family = ip_address(min(one)).version == ip_address(min(other)).version
                if same_family and one.isdisjoint(other):
                    yield f"announced at {' '.join(sorted(one))} and at {' '.join(sorted(other))}"

    def _expire(self, now: float) -> None:
        for instance in list(self._instances.values()):
            had = bool(instance.services)
            _drop_old(instance.services, now)
            _drop_old(instance.enroll_ids, now)
            if had and not instance.services:
                del self._instances[instance.name.lower()]
        for claims in self._hosts.values():
            _drop_old(claims, now)
        self._drop_unused_hosts()

    def _drop_unused_hosts(self) -> None:
        used = {host for instance in self._instances.values() for host, _ in instance.services}
        self._hosts = {host: claims for host, claims in self._hosts.items() if host in used}


def display(text: str) -> str:
    """Names come from strangers: nothing in them may steer a terminal."""
    return "".join(char if char.isprintable() else "�" for char in text)[:255]


def _claim(claims: dict[K, float], value: K, now: float, life: float) -> None:
    """The newest claim stands last."""
    claims.pop(value, None)
    if len(claims) < _MAX_CLAIMS:
        claims[value] = now + min(life, _MAX_LIFE)


def _drop_old(claims: dict[K, float], now: float) -> None:
    for value in [value for value, end in claims.items() if end <= now]:
        del claims[value]
