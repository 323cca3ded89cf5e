"""How a machine is reached, as an operator types it: address, jump host, account. Resolves no name."""

import ipaddress
import re

from inventory.errors import OperatorError

HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
SSH_PORT = 22
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,15}")  # the name of an interface


def split_address(text: str) -> tuple[str, int]:
    """Host and port of "10.0.0.1", "10.0.0.1:2222", "[fd00::1]:22", "fd00::1"."""
    host, sign, port = text.rpartition(":")
    if not sign or (":" in host and not host.endswith("]")):
        host, port = text, str(SSH_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not is_host(host) or not is_port(port):
        raise OperatorError(f"{text!r} is not an address", fix="write HOST, HOST:PORT or [IPV6]:PORT")
    return host, int(port)


def parse_jump(text: str) -> tuple[str, str, int]:
    """`user@host[:port]` (IPv6 in brackets) → (user, host, port)."""
    user, _, rest = text.rpartition("@")
    host, _, port = rest.rpartition(":") if rest.count(":") == 1 or "]:" in rest else (rest, "", "22")
    host = host.removeprefix("[").removesuffix("]")
    if not (USER.fullmatch(user) and is_host(host) and is_port(port)):
        raise OperatorError(f"{text!r} is no jump host", fix="write user@host or user@host:port")
    return user, host, int(port)


def check_user(text: str) -> str:
    """The name of an account, as site files allow it."""
    if not USER.fullmatch(text):
        raise OperatorError(f"{text!r} is not the name of an account", fix="write it such as root or ops")
    return text


def is_host(text: str) -> bool:
    """An IP address (also a link-local one with its zone), or a DNS name."""
    bare, percent, zone = text.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        return False
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return HOST.fullmatch(text.lower()) is not None and not re.fullmatch(r"[0-9.]+", text)
    return True


def is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
