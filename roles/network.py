"""The network interfaces that a node's settings declare, as values. Knows no form of any Talos version.

A node without declared interfaces gets its addresses by DHCP, which is what Talos does by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Link:
    """`members` make it a bond, `vlan` a VLAN on `parent`; `gateway` is for the default route."""

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


def links(settings: Mapping[str, Any], vip: str = "", where: str = "") -> tuple[Link, ...]:
    """In the order of the site file. The shared address `vip` goes to the first that has an address."""
    declared = (settings.get("network") or {}).get("interfaces") or ()
    if vip and not any(_addressed(item) for item in declared):
        raise OperatorError(
            f"nothing says which interface is to hold the shared address {vip}",
            where=where,
            fix="declare the control planes' interface in settings.network.interfaces",
        )
    holder = next((number for number, item in enumerate(declared) if _addressed(item)), -1)
    return tuple(_link(item, vip if number == holder else "") for number, item in enumerate(declared))


def missing_parents(found: Sequence[Link]) -> tuple[str, ...]:
    """Interfaces that VLANs stand on and nothing else is said of; they carry no address themselves."""
    known = {link.name for link in found}
    return tuple(dict.fromkeys(link.parent for link in found if link.vlan and link.parent not in known))


def default_route(gateway: str) -> str:
    return "::/0" if ":" in gateway else "0.0.0.0/0"


def _addressed(item: Mapping[str, Any]) -> bool:
    """By DHCP unless something else is said, as the site files' reference tells."""
    return bool(item.get("addresses")) or item.get("dhcp") is not False


def _link(item: Mapping[str, Any], vip: str) -> Link:
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
    )
