"""Network interfaces in both forms: documents (Talos 1.12 and later) and `machine.network` (before).

Bond figures are the common ones: links are watched every 100 ms, LACP hashes by address and port.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inventory.errors import RefusedError
from roles.network import Link, default_route, missing_parents
from roles.nics import NicMatch

MIIMON, DELAY = 100, 200  # milliseconds; the delays are whole multiples of the first
_LACP = "802.3ad"
_HASH = "layer3+4"
_ETHERNET = 'link.type == 1 && link.kind == ""'  # what Talos itself calls physical
_PERMANENT = 9  # Talos minor


def link_documents(links: Sequence[Link]) -> Iterator[dict[str, Any]]:
    """One document per interface, then one for DHCP and one for the shared address where there is one. Those
    that say which card an interface is come first: the others use their names.
    """
    for link in links:
        if link.match:
            yield _document("LinkAliasConfig", name=link.name, selector={"match": expression(link.match)})
    for parent in missing_parents(links):
        yield _document("LinkConfig", name=parent)
    for link in links:
        if link.member:
            continue
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


def expression(match: NicMatch) -> str:
    """The CEL expression that finds this card."""
    found = [
        _equal(text, value)
        for text, value in (
            ("mac(link.permanent_addr)", match.mac),
            ("link.driver", match.driver),
            ("link.bus_path", match.bus_path),
        )
        if value
    ]
    return " && ".join([*found, *([_ETHERNET] if match.physical else [])])


def _equal(text: str, value: str) -> str:
    quoted = json.dumps(value, ensure_ascii=False)  # a JSON string is a CEL string too
    return f"glob({quoted}, {text})" if "*" in value else f"{text} == {quoted}"


def legacy_interfaces(links: Sequence[Link], minor: int, where: str = "") -> list[dict[str, Any]]:
    """`machine.network.interfaces`; a VLAN stands inside its parent, the choice of a card in its user."""
    parents = tuple(Link(parent, dhcp=False) for parent in missing_parents(links))
    cards = {link.name: selector(link.match, minor) for link in links if link.match}
    own = [link for link in (*parents, *links) if not link.vlan and not link.member]
    entries = {link.name: _legacy(link, cards, where) for link in own}
    for link in links:
        if link.vlan:
            entries[link.parent].setdefault("vlans", []).append({"vlanId": link.vlan, **_legacy_fields(link)})
    return list(entries.values())


def selector(match: NicMatch, minor: int) -> dict[str, Any]:
    """`deviceSelector`. A card in a bond shows the bond's address; from 1.9 on its own can be asked for."""
    mac = "permanentAddr" if minor >= _PERMANENT else "hardwareAddr"
    named = {mac: match.mac, "driver": match.driver, "busPath": match.bus_path, "physical": match.physical}
    return {key: value for key, value in named.items() if value}


def _legacy(link: Link, cards: Mapping[str, dict[str, Any]], where: str) -> dict[str, Any]:
    card = cards.get(link.name)
    entry: dict[str, Any] = {"deviceSelector": card} if card else {"interface": link.name}
    entry |= _legacy_fields(link)
    if link.members:
        lacp = {"xmitHashPolicy": _HASH, "lacpRate": "slow"} if link.bond_mode == _LACP else {}
        entry["bond"] = {
            **_legacy_members(link, cards, where),
            "mode": link.bond_mode,
            "miimon": MIIMON,
            "updelay": DELAY,
            "downdelay": DELAY,
            **lacp,
        }
    return entry


def _legacy_members(link: Link, cards: Mapping[str, dict[str, Any]], where: str) -> dict[str, Any]:
    chosen = [cards[name] for name in link.members if name in cards]
    if chosen and len(chosen) < len(link.members):
        raise RefusedError(
            f"the members of {link.name} are partly matched and partly named, which Talos before 1.12 can't",
            where=where,
            fix="declare every member with match, or none",
        )
    return {"deviceSelectors": chosen} if chosen else {"interfaces": list(link.members)}


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
