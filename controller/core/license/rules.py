"""What a licence allows, and which new nodes it does not. Never says anything about nodes that are there.

Counted are nodes that hold something of ours. A node that was counted once keeps its place, so no limit and
no end of a licence stands in the way of repairing, updating, rolling back, moving or giving up what runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.core.license.document import License

WARN = timedelta(days=30)  # before the end
GRACE = timedelta(days=30)  # after it, in which the licence's limits still hold


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many; None for any number."""

    nodes: int | None
    clusters: int | None


COMMUNITY = Limits(nodes=10, clusters=10)  # without a licence: every feature, this many


class Standing(StrEnum):
    COMMUNITY = "community"  # no licence
    VALID = "valid"
    ENDING = "ending"  # within the next 30 days
    GRACE = "grace"  # ended; its limits hold a while longer
    EXPIRED = "expired"  # the community's limits hold for what is new
    NOT_YET = "not-yet"
    FOREIGN = "foreign"  # made out to another controller


@dataclass(frozen=True, slots=True)
class Allowance:
    standing: Standing
    limits: Limits
    note: str = ""  # for the operator; empty if there is nothing to do


def allowance(license_: License | None, now: datetime, controller: str) -> Allowance:
    """What holds at `now`, which is never earlier than what was recorded already (`safe_now`)."""
    if license_ is None:
        return Allowance(Standing.COMMUNITY, COMMUNITY)
    own = Limits(license_.nodes, license_.clusters)
    if license_.controller and license_.controller != controller:
        what = f"is for another controller ({license_.controller}); this is {controller}"
        return Allowance(Standing.FOREIGN, COMMUNITY, _note(license_, what))
    if now < license_.not_before:
        what = f"licence {license_.id} holds from {license_.not_before:%Y-%m-%d} on, not yet"
        return Allowance(Standing.NOT_YET, COMMUNITY, what)
    return _by_end(license_, own, now)


def _by_end(license_: License, own: Limits, now: datetime) -> Allowance:
    end = license_.expires
    if now < end - WARN:
        return Allowance(Standing.VALID, own)
    if now < end:
        return Allowance(Standing.ENDING, own, _note(license_, f"ends on {end:%Y-%m-%d}"))
    what = f"ended on {end:%Y-%m-%d}"
    if now < end + GRACE:
        what += f"; nodes can still be added until {end + GRACE:%Y-%m-%d}"
        return Allowance(Standing.GRACE, own, _note(license_, what))
    what += "; what runs is looked after as before, new nodes need a licence"
    return Allowance(Standing.EXPIRED, COMMUNITY, _note(license_, what))


def _note(license_: License, what: str) -> str:
    return f"licence {license_.id} {what}: get a new one and run `cto license import FILE`"


@dataclass(frozen=True, slots=True)
class Place:
    """One node, as far as a licence is concerned."""

    node: str
    cluster: str


def held_back(limits: Limits, counted: Iterable[Place], new: Sequence[Place]) -> dict[str, str]:
    """Node → reason, for those of `new` (in the order of the files) for which there is no room left."""
    places = list(counted)
    clusters = {place.cluster for place in places}
    nodes = len(places)
    held: dict[str, str] = {}
    for place in new:
        if place.cluster not in clusters and not _room(len(clusters), limits.clusters):
            held[place.node] = f"{limits.clusters} clusters are allowed, and there are {len(clusters)}"
        elif not _room(nodes, limits.nodes):
            held[place.node] = f"{limits.nodes} nodes are allowed, and there are {nodes}"
        else:
            nodes += 1
            clusters.add(place.cluster)
    return held


def _room(taken: int, limit: int | None) -> bool:
    return limit is None or taken < limit
