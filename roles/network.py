"""The network interfaces that a node's settings declare, as values. Knows no form of any Talos version.

A node without declared interfaces gets its addresses by DHCP, which is what Talos does by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facts.machine_model import HardwareNic
from inventory.errors import OperatorError
from roles.nics import NicMatch, choose


@dataclass(frozen=True, slots=True)
class Link:
    """`members` make it a bond, `vlan` a VLAN on `parent`; `gateway` is for the default route. With `match`,
    `name` is ours and no kernel's. A `member` of a bond carries nothing but the word which card it is.
    """

    name: str
    dhcp: bool = True
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    members: tuple[str, ...] = ()
    bond_mode: str = "active-backup"
    vlan: int = 0
    parent: str = ""
    mtu: int = 0
    vip: str = ""
    match: NicMatch | None = None
    member: bool = False


def links(
    settings: Mapping[str, Any],
    vip: str = "",
    where: str = "",
    *,
    nics: Sequence[HardwareNic] = (),
    address: str = "",
) -> tuple[Link, ...]:
    """In the order of the site file. The shared address `vip` goes to the first that has an address. `nics`
    are the machine's cards as far as known, `address` the one at which it answers.
    """
    declared = (settings.get("network") or {}).get("interfaces") or ()
    members = {name for item in declared for name in item.get("bond") or ()}
    chosen = _matches(declared, nics, address, where)
    holders = [
        number for number, item in enumerate(declared) if item["name"] not in members and _addressed(item)
    ]
    if vip and not holders:
        raise OperatorError(
            f"nothing says which interface is to hold the shared address {vip}",
            where=where,
            fix="declare the control planes' interface in settings.network.interfaces",
        )
    return tuple(
        _link(item, vip if [number] == holders[:1] else "", chosen.get(item["name"]), item["name"] in members)
        for number, item in enumerate(declared)
    )


def reasons(found: Sequence[Link]) -> tuple[str, ...]:
    """Why these cards, where the facts decided."""
    return tuple(link.match.reason for link in found if link.match and link.match.reason)


def _matches(
    declared: Sequence[Mapping[str, Any]], nics: Sequence[HardwareNic], address: str, where: str
) -> Mapping[str, NicMatch]:
    """Interface → its card. Those that are named by the kernel, then those that say which, come before those
    that take what is left.
    """
    found: dict[str, NicMatch] = {}
    taken = {str(item["name"]): str(item["name"]) for item in declared if not item.get("match")}
    taken |= {name: name for item in declared for name in item.get("bond") or ()}
    matched = [item for item in declared if item.get("match")]
    for item in sorted(matched, key=lambda item: bool(item["match"].get("auto"))):
        name = str(item["name"])
        found[name] = choose(item["match"], nics, name=name, taken=taken, address=address, where=where)
        taken |= {found[name].card: name} if found[name].card else {}
    return found


def missing_parents(found: Sequence[Link]) -> tuple[str, ...]:
    """Interfaces that VLANs stand on and nothing else is said of; they carry no address themselves."""
    known = {link.name for link in found}
    return tuple(dict.fromkeys(link.parent for link in found if link.vlan and link.parent not in known))


def default_route(gateway: str) -> str:
    return "::/0" if ":" in gateway else "0.0.0.0/0"


def _addressed(item: Mapping[str, Any]) -> bool:
    """By DHCP unless something else is said, as the site files' reference tells."""
    return bool(item.get("addresses")) or item.get("dhcp") is not False


def _link(item: Mapping[str, Any], vip: str, match: NicMatch | None, member: bool) -> Link:
    addresses = tuple(item.get("addresses") or ())
    dhcp = item.get("dhcp")
    name = str(item["name"])
    return Link(
        name=name,
        dhcp=not addresses if dhcp is None else bool(dhcp),
        addresses=addresses,
        gateway=str(item.get("gateway") or ""),
        members=tuple(item.get("bond") or ()),
        bond_mode=str(item.get("bondMode") or "active-backup"),
        vlan=int(item.get("vlan") or 0),
        parent=str(item.get("parent") or name.rpartition(".")[0]),
        mtu=int(item.get("mtu") or 0),
        vip=vip,
        match=match,
        member=member,
    )
