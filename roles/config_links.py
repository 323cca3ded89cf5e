"""Network interfaces in both forms: documents (Talos 1.12 and later) and `machine.network` (before).

Bond figures are the common ones: links are watched every 100 ms, LACP hashes by address and port.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from roles.network import Link, default_route, missing_parents

MIIMON, DELAY = 100, 200  # milliseconds; the delays are whole multiples of the first
_LACP = "802.3ad"
_HASH = "layer3+4"


def link_documents(links: Sequence[Link]) -> Iterator[dict[str, Any]]:
    """One document per interface, then one for DHCP and one for the shared address where there is one."""
    for parent in missing_parents(links):
        yield _document("LinkConfig", name=parent)
    for link in links:
        yield _link_document(link)
        if link.dhcp:
            yield _document("DHCPv4Config", name=link.name)
        if link.vip:
            yield _document("Layer2VIPConfig", name=link.vip, link=link.name)


def _document(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1alpha1", "kind": kind, **fields}


def _link_document(link: Link) -> dict[str, Any]:
    common: dict[str, Any] = {}
    if link.mtu:
        common["mtu"] = link.mtu
    if link.addresses:
        common["addresses"] = [{"address": address} for address in link.addresses]
    if link.gateway:
        common["routes"] = [{"gateway": link.gateway}]
    if link.members:
        lacp = {"xmitHashPolicy": _HASH, "lacpRate": "slow", "adActorSysPrio": 65535}
        bond: dict[str, Any] = {"links": list(link.members), "bondMode": link.bond_mode, "miimon": MIIMON}
        bond |= {"updelay": DELAY, "downdelay": DELAY}
        bond |= lacp if link.bond_mode == _LACP else {}
        return _document("BondConfig", name=link.name, **bond, **common)
    if link.vlan:
        return _document("VLANConfig", name=link.name, vlanID=link.vlan, parent=link.parent, **common)
    return _document("LinkConfig", name=link.name, **common)


def legacy_interfaces(links: Sequence[Link]) -> list[dict[str, Any]]:
    """`machine.network.interfaces`; a VLAN stands inside its parent."""
    parents = tuple(Link(parent, dhcp=False) for parent in missing_parents(links))
    entries = {link.name: _legacy(link) for link in (*parents, *links) if not link.vlan}
    for link in links:
        if link.vlan:
            entries[link.parent].setdefault("vlans", []).append({"vlanId": link.vlan, **_legacy_fields(link)})
    return list(entries.values())


def _legacy(link: Link) -> dict[str, Any]:
    entry: dict[str, Any] = {"interface": link.name, **_legacy_fields(link)}
    if link.members:
        lacp = {"xmitHashPolicy": _HASH, "lacpRate": "slow"} if link.bond_mode == _LACP else {}
        entry["bond"] = {
            "interfaces": list(link.members),
            "mode": link.bond_mode,
            "miimon": MIIMON,
            "updelay": DELAY,
            "downdelay": DELAY,
            **lacp,
        }
    return entry


def _legacy_fields(link: Link) -> dict[str, Any]:
    fields: dict[str, Any] = {"dhcp": link.dhcp}
    if link.addresses:
        fields["addresses"] = list(link.addresses)
    if link.gateway:
        fields["routes"] = [{"network": default_route(link.gateway), "gateway": link.gateway}]
    if link.mtu:
        fields["mtu"] = link.mtu
    if link.vip:
        fields["vip"] = {"ip": link.vip}
    return fields
