"""The network interfaces of this machine, by name or by address. Opens no socket."""

from collections.abc import Sequence
from ipaddress import ip_address

import ifaddr

from inventory.errors import OperatorError

ALL = "all"


def addresses_of(interface: str) -> list[str]:
    """The IPv4 addresses of a named interface of this machine, or the address itself."""
    adapters = _adapters()
    if adapters.get(interface):
        return adapters[interface]
    if any(interface in addresses for addresses in adapters.values()):
        return [interface]
    fix = f"there are: {', '.join(sorted(name for name, found in adapters.items() if found))}"
    raise OperatorError(f"this machine has no interface {interface} with an IPv4 address", fix=fix)


def to_listen_on(interfaces: Sequence[str]) -> tuple[str, ...]:
    """Addresses for what was named. Nothing named is enough only where there is no choice.

    An address of 127.0.0.0/8 is this machine's own whether or not it was set up. IPv6 only by address.
    """
    outward = {name: found for name, found in _adapters().items() if found and not _loopback(found[0])}
    if not interfaces and len(outward) != 1:
        names = ", ".join(sorted(outward)) or "none but the loopback"
        raise OperatorError(
            f"say on which network interface (there are: {names})",
            fix=f"--interface NAME, may be repeated; --interface {ALL} for all of them",
        )
    if not interfaces or ALL in interfaces:
        return tuple(address for found in outward.values() for address in found)
    named = [[name] if _loopback(name) or ":" in name else addresses_of(name) for name in interfaces]
    return tuple(dict.fromkeys(address for found in named for address in found))


def _adapters() -> dict[str, list[str]]:
    return {a.nice_name: [str(ip.ip) for ip in a.ips if ip.is_IPv4] for a in ifaddr.get_adapters()}


def _loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
