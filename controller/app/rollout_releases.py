"""What the trusted feed says to a rollout: which releases may be targets and stops, which never again.

Reads what earlier looks at the feed left in the store; asks no feed. A way back is no matter of releases:
rollbacks are not judged here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from controller.app.services import Services
from controller.core.release import document
from controller.core.release.document import CHANNELS, Release
from controller.core.rollout.model import FINISHED, HopKind, RolloutState, Target
from controller.core.rollout.planning import Cluster, Releases
from controller.core.rollout.stops import key
from inventory.errors import OperatorError, RefusedError
from inventory.versions import LAST_TALOS, TESTED_TALOS, minor
from roles.talos_version import CONTRACTS

Part = Literal["talos", "kubernetes"]
PARTS: tuple[Part, ...] = ("talos", "kubernetes")
NAMED, PUBLISHED, RUNNING, BUILT_IN = "named", "published", "running", "built in"
_TALOS = (HopKind.TALOS, HopKind.TALOS_LEGACY)


@dataclass(frozen=True, slots=True)
class Published:
    """The feed's releases as a policy of `channel` sees them. No channel: no feed is trusted."""

    channel: str = ""
    allowed: Mapping[str, Release] = field(default_factory=dict)  # of the channel, by name
    withdrawn: frozenset[str] = frozenset()  # those that no channel, or not this one, lets be installed
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # name → another channel that has it

    def versions(self, part: Part) -> tuple[str, ...]:
        """That may be installed, the oldest first."""
        return tuple(sorted((r.version for r in self.allowed.values() if r.kind == part), key=key))

    def speaks_of(self, part: Part) -> bool:
        return any(name.startswith(f"{part}-") for name in (*self.allowed, *self.withdrawn))

    def origins(self, part: Part) -> dict[str, tuple[str, ...]]:
        return {r.version: r.upgrades for r in self.allowed.values() if r.kind == part}


@dataclass(frozen=True, slots=True)
class Stops:
    """Versions that a way may go through, and how each is known."""

    releases: Releases
    talos: Mapping[str, str]
    kubernetes: Mapping[str, str]

    def used(self, state: RolloutState) -> dict[str, str]:
        """Of the stops that the rollout makes, not its targets: "talos 1.12.7" → how it is known."""
        found: dict[str, str] = {}
        for part, version in sorted(_brought(state)):
            if version != getattr(state.target, part):
                found[f"{part} {version}"] = (self.talos if part == "talos" else self.kubernetes)[version]
        return found


def published(services: Services, channel: str) -> Published:
    """As the newest look at the feed left it."""
    if services.store.feed() is None:
        return Published()
    seen: dict[str, dict[str, Release]] = {}
    good: dict[str, dict[str, Release]] = {}
    for each in CHANNELS:
        found = [document.parse(row.body.encode(), row.name) for row in services.store.releases(each)]
        current = document.current(found, services.store.channel_floor(each))
        seen[each] = {release.name: release for release in found}
        good[each] = {release.name: release for release in current}
    names = {name for each in CHANNELS for name in seen[each]}
    withdrawn = {
        name
        for name in names
        if name not in good[channel]
        and (name in seen[channel] or not any(name in good[each] for each in CHANNELS))
    }
    elsewhere = {name: each for each in CHANNELS for name in good[each] if name not in seen[channel]}
    return Published(channel, good[channel], frozenset(withdrawn), elsewhere)


def newest(found: Published) -> Target:
    """What an update leads to where nobody names a target. Empty if the feed has nothing."""
    for part in PARTS:
        versions = found.versions(part)
        if versions:
            return Target(talos=versions[-1]) if part == "talos" else Target(kubernetes=versions[-1])
    return Target()


def aimed(found: Published, target: Target, via: Sequence[str]) -> tuple[Target, str]:
    """The target, and the channel that gave it where nobody named one. Raises RefusedError if a release that
    was named was withdrawn.
    """
    refuse_withdrawn(found, asked_for(target, via))
    if target != Target():
        return target, ""
    made = newest(found)
    if made == Target():
        fix = "give --talos VERSION, --kubernetes VERSION or --schematic ID; cto update list shows releases"
        raise OperatorError("no target is named", fix=fix)
    return made, found.channel


def stops(found: Published, via: Sequence[str], clusters: Iterable[Cluster]) -> Stops:
    """Of each minor what is known best: a version that was named; a release of the feed; what runs in the
    fleet; and, where no feed speaks of it, the version that this program was tested with.
    """
    nodes = [node for cluster in clusters for node in cluster.nodes]
    named = {version for version in via if minor(version) <= LAST_TALOS}
    talos = _best(found, "talos", named, {node.talos for node in nodes}, TESTED_TALOS.values())
    defaults = [contract.default_kubernetes for contract in CONTRACTS.values()]
    running = {node.kubernetes for node in nodes if node.kubernetes}
    kubernetes = _best(found, "kubernetes", set(via) - named, running, defaults)
    releases = Releases(tuple(talos), tuple(kubernetes), found.origins("talos"), found.origins("kubernetes"))
    return Stops(releases, talos, kubernetes)


def _best(
    found: Published, part: Part, named: Collection[str], running: Collection[str], tested: Iterable[str]
) -> dict[str, str]:
    current = {version for version in running if f"{part}-{version}" not in found.withdrawn}
    sources = [(NAMED, named), (PUBLISHED, found.versions(part)), (RUNNING, current)]
    if not found.speaks_of(part):
        sources.append((BUILT_IN, tuple(tested)))
    known: dict[str, str] = {}
    for source, versions in sources:
        taken = {minor(version) for version in known}
        known |= {version: source for version in versions if minor(version) not in taken}
    return known


def refuse_withdrawn(found: Published, versions: Iterable[tuple[Part, str]]) -> None:
    """Raises RefusedError naming the first that its publisher took back."""
    for part, version in versions:
        name = f"{part}-{version}"
        if name in found.withdrawn:
            raise RefusedError(
                f"its publisher withdrew {name}: it must not be installed any more",
                where=f"channel {found.channel}",
                fix="take a newer one: cto update list",
            )


def asked_for(target: Target, via: Iterable[str]) -> list[tuple[Part, str]]:
    """What an operator names, by part."""
    named: list[tuple[Part, str]] = [
        ("talos" if minor(version) <= LAST_TALOS else "kubernetes", version) for version in via
    ]
    aims: list[tuple[Part, str]] = [("talos", target.talos), ("kubernetes", target.kubernetes)]
    return [(part, version) for part, version in (*aims, *named) if version]


def check_again(services: Services, channel: str, state: RolloutState) -> None:
    """At its start: what was planned may have been withdrawn meanwhile."""
    refuse_withdrawn(published(services, channel), sorted(_brought(state)))


@dataclass(slots=True)
class Withdrawals:
    """Of one rollout that is under way: read anew after each look at the feed, not at each decision."""

    channel: str
    _looked: str = ""
    _why: str = ""

    def why(self, services: Services, state: RolloutState) -> str:
        """Why nothing more of it may begin; empty = it may. A way back always may."""
        feed = services.store.feed() if self.channel and not state.remedy else None
        looked = f"{feed.set_at} {feed.checked_at}" if feed else ""
        if looked != self._looked:
            self._looked, self._why = looked, self._read(services, state) if looked else ""
        return self._why

    def _read(self, services: Services, state: RolloutState) -> str:
        try:
            refuse_withdrawn(published(services, self.channel), sorted(_brought(state, ahead=True)))
        except RefusedError as error:
            return f"{error.what}; cto rollout abort ends it"
        return ""


def doubts(found: Published, target: Target) -> list[str]:
    """What speaks against a target that is not refused."""
    said: list[str] = []
    for part, version in asked_for(target, ()):
        name = f"{part}-{version}"
        if not found.channel or name in found.allowed:
            continue
        if name in found.elsewhere:
            said.append(f"{name} is in channel {found.elsewhere[name]}, and the policy's is {found.channel}")
        elif found.speaks_of(part):
            said.append(f"{name} is not among the publisher's releases of channel {found.channel}")
        elif not found.allowed and not found.withdrawn:
            said.append(f"nothing is known of channel {found.channel}: cto update check")
    return said


def _brought(state: RolloutState, *, ahead: bool = False) -> set[tuple[Part, str]]:
    """Versions that get onto nodes which do not run them. `ahead`: only those that are still to come."""
    found: set[tuple[Part, str]] = set()
    for cluster in state.clusters.values():
        if ahead and cluster.phase in FINISHED:
            continue
        for hop in cluster.hops[cluster.hop if ahead else 0 :]:
            if hop.kind is not HopKind.BACK and hop.version != hop.source:
                found.add(("talos" if hop.kind in _TALOS else "kubernetes", hop.version))
    return found
