"""The network interfaces and their addresses. Driver, speed and link are the fact `links`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facts.limits import capped, load_json, mapping, maybe_number, sequence, word
from facts.spec import FactSpec

_MAX_ADDRESSES = 16


@dataclass(frozen=True, slots=True)
class Nic:
    name: str
    mac: str  # the permanent one, where a bond shows another
    kind: str = ""  # "" for hardware; "bond", "bridge", "vlan", "veth", …
    up: bool = False
    mtu: int = 0
    addresses: tuple[str, ...] = ()  # "192.0.2.7/24"; global ones only


@dataclass(frozen=True, slots=True)
class Nics:
    """Without loopback."""

    items: tuple[Nic, ...]
    omitted: int = 0


def _address(entry: Any) -> str:
    row = mapping(entry, what="an address")
    if row.get("scope") != "global":
        return ""
    return f"{word(row.get('local'))}/{maybe_number(row.get('prefixlen')) or 0}"


def _nic(row: Mapping[str, Any]) -> Nic:
    info = row.get("linkinfo")
    flags = row.get("flags")
    entries = sequence(row.get("addr_info") or [], what="addr_info")
    return Nic(
        name=word(row.get("ifname")),
        mac=(word(row.get("permaddr")) or word(row.get("address"))).lower(),
        kind=word(info.get("info_kind")) if isinstance(info, dict) else "",
        up=isinstance(flags, list) and "UP" in flags,
        mtu=maybe_number(row.get("mtu")) or 0,
        addresses=tuple(found for entry in entries[:_MAX_ADDRESSES] if (found := _address(entry))),
    )


def parse(text: str) -> Nics:
    # `ip` prints empty objects for links that it filtered out.
    rows = [mapping(each, what="an interface") for each in sequence(load_json(text), what="ip output")]
    items, omitted = capped(row for row in rows if row.get("ifname") and row.get("link_type") != "loopback")
    return Nics(items=tuple(_nic(row) for row in items), omitted=omitted)


FACT = FactSpec(name="nics", title="network interfaces", command="ip -j -d addr", parse=parse, model=Nics)
