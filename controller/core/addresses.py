"""Which addresses a request that others can steer must never reach: this machine, and what only it can reach.

Hosts of one's own network are fine: an operator named them. Asks no name server.
"""

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")  # RFC 3056

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def forbidden(text: str) -> str:
    """Why nothing is sent to this address; empty if it may be."""
    try:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return "not an address"
    for name in ("loopback", "link_local", "multicast", "unspecified", "reserved"):
        if getattr(address, f"is_{name}"):
            return f"a {name.replace('_', '-')} address"
    return ""


def _plain(address: Address) -> Address:
    """The IPv4 address that some IPv6 forms only wrap: Python calls those of the last two global."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address
