"""Which network card an interface of the site file is, if it says so by `match`. Renders nothing.

What is known of the machine's cards is checked before a node is given the text: Talos from 1.12 on refuses to
name a card unless exactly one fits, and a node without network can't say why. A card whose driver or place is
not known counts as one that may fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from facts.machine_model import HardwareNic
from inventory.errors import RefusedError


@dataclass(frozen=True, slots=True)
class NicMatch:
    """What must fit; `*` stands for anything. `card` is its name now, where the facts tell; `reason` says why
    this one, if it was chosen by them.
    """

    mac: str = ""
    driver: str = ""
    bus_path: str = ""
    physical: bool = False
    card: str = ""
    reason: str = ""


def choose(
    declared: Mapping[str, Any],
    nics: Sequence[HardwareNic],
    *,
    name: str,
    taken: Mapping[str, str],
    address: str = "",
    where: str = "",
) -> NicMatch:
    """From an interface's `match`. Without `nics` nothing can be checked, and `auto` not be decided. `taken`
    are the cards of other interfaces: card → interface.
    """
    match = NicMatch(
        mac=str(declared.get("mac") or ""),
        driver=str(declared.get("driver") or ""),
        bus_path=str(declared.get("busPath") or ""),
        physical=bool(declared.get("physical")),
    )
    fits = [nic for nic in nics if _fits(match, nic)]
    if nics and not fits:
        raise RefusedError(
            f"interface {name}: no network card fits {_said(match)}; there are: {_listed(nics)}",
            where=where,
            fix="correct settings.network.interfaces, or gather the facts again after the card was changed",
        )
    if declared.get("auto"):
        free = [nic for nic in fits if nic.name not in taken]
        return _automatic(free, nics, name, address, where)
    if len(fits) > 1:
        raise RefusedError(
            f"interface {name}: {len(fits)} network cards fit {_said(match)}: {_listed(fits)}",
            where=where,
            fix="say more of it (mac, driver, busPath), or auto: true to have one chosen",
        )
    card = fits[0].name if fits else ""
    if card in taken:
        raise RefusedError(
            f"interfaces {taken[card]} and {name} are the same network card, {card}",
            where=where,
            fix="declare one interface for it",
        )
    return replace(match, card=card)


def _automatic(
    fits: Sequence[HardwareNic], of: Sequence[HardwareNic], name: str, address: str, where: str
) -> NicMatch:
    if not of:
        raise RefusedError(
            f"interface {name} is to be chosen by the facts, and the network cards are not known",
            where=where,
            fix="gather its facts (cto facts gather), or name the card by its MAC address",
        )
    linked = [nic for nic in fits if nic.link and nic.mac]
    if not linked:
        raise RefusedError(
            f"interface {name} can't be chosen: no card that fits and is free has a link; there are: "
            f"{_listed(of)}",
            where=where,
            fix="plug in its cable and gather the facts again, or name the card by its MAC address",
        )
    holds = [nic for nic in linked if address and address in _plain(nic)]
    nic = (holds or linked)[0]
    why = f"it has a link and holds {address}" if holds else f"of {len(of)} cards the first with a link"
    return NicMatch(mac=nic.mac, card=nic.name, reason=f"interface {name} is {nic.name} ({nic.mac}): {why}")


def _fits(match: NicMatch, nic: HardwareNic) -> bool:
    pairs = ((match.mac, nic.mac), (match.driver, nic.driver), (match.bus_path, nic.slot))
    return all(not wanted or not has or _globbed(wanted, has) for wanted, has in pairs)


def _globbed(pattern: str, value: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]").replace("?", "[?]"))


def _plain(nic: HardwareNic) -> set[str]:
    return {address.partition("/")[0] for address in nic.addresses}


def _said(match: NicMatch) -> str:
    words = (("mac", match.mac), ("driver", match.driver), ("busPath", match.bus_path))
    return ", ".join(f"{key} {value}" for key, value in words if value) or "physical"


def _listed(nics: Sequence[HardwareNic]) -> str:
    return "; ".join(
        f"{nic.name} (" + ", ".join(filter(None, (nic.mac, nic.driver, nic.slot))) + ")" for nic in nics
    )
