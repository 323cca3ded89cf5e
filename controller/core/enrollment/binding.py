"""Which node of the site files a machine is: one that is named, known by its hardware, or the only one left.

Decides only which; that it may be that one is decided elsewhere. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import NodeState
from roles.enrollment.hardware import matches

_FREE = (NodeState.DECLARED, NodeState.RESET)
# What a pre-registration that approves by itself has to name. Not the endorsement key of a TPM: it is public,
# and a machine that names it was not made to prove that it has the TPM.
_STRONG = ("serial",)


@dataclass(frozen=True, slots=True)
class Place:
    """A node that is declared, as far as binding needs it."""

    name: str
    site: str
    role: str
    state: NodeState
    expected: Mapping[str, str]  # serial, uuid, mac, tpm_ek


@dataclass(frozen=True, slots=True)
class Bound:
    node: str
    why: str
    by: tuple[str, ...] = ()  # the kinds of hardware ids that matched

    @property
    def registered(self) -> bool:
        """By what was registered beforehand and is strong enough to approve by itself."""
        return any(kind in _STRONG for kind in self.by)


def bind(
    claimed: Mapping[str, str], *, site: str, role: str, places: Sequence[Place], name: str = ""
) -> Bound:
    """Raises RefusedError where the token's site or role says otherwise, OperatorError where it is open."""
    if name:
        return _named(name, claimed, site, role, places)
    here = [place for place in places if place.site == site]
    known = [(place, found) for place in here if (found := matches(place.expected, claimed))]
    if len(known) > 1:
        names = ", ".join(place.name for place, _ in known)
        raise OperatorError(
            f"this machine is expected as {names}", fix="correct `hardware:` in the site file"
        )
    if known:
        place, found = known[0]
        _role_fits(place, role)
        return Bound(place.name, f"its {' and '.join(found)} is that of {place.name}", found)
    free = [place for place in here if place.role == role and place.state in _FREE and not place.expected]
    if len(free) == 1:
        return Bound(free[0].name, f"the only {role} of {site} without a machine")
    if not free:
        raise OperatorError(
            f"no node of site {site} with role {role} waits for a machine",
            fix="name one with --as NAME, or declare it in the site file",
        )
    names = ", ".join(place.name for place in free)
    raise OperatorError(
        f"it could be {names}", fix=f"say which: --as {free[0].name}, or write `hardware:` in the site file"
    )


def _named(name: str, claimed: Mapping[str, str], site: str, role: str, places: Sequence[Place]) -> Bound:
    place = next((place for place in places if place.name == name), None)
    if place is None:
        return Bound(name, "named by the operator; no site file knows it yet")
    if place.site != site:
        raise RefusedError(
            f"{name} is at site {place.site}, and the machine's token is for {site}",
            fix="make a token for that site",
        )
    _role_fits(place, role)
    found = matches(place.expected, claimed)
    if place.expected and not found:
        wanted = ", ".join(f"{kind} {value}" for kind, value in place.expected.items())
        raise RefusedError(
            f"{name} is to be the machine with {wanted}, and this one says otherwise",
            fix="approve the right machine, or correct `hardware:` in the site file",
        )
    return Bound(name, "named by the operator", found)


def _role_fits(place: Place, role: str) -> None:
    if place.role != role:
        raise RefusedError(
            f"{place.name} is to be a {place.role}, and the machine's token is for a {role}",
            fix="make a token for that role",
        )
