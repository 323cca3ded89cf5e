"""The site layer: the small part of an image that says whose it is. Keys, settings, addresses.

Pure: files as values. A new layer never needs a new root file system.
"""

import gzip
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from inventory.errors import OperatorError
from inventory.openssh import parse_public_key
from iso.render import cpio

SETTINGS = "etc/cto/settings.json"
HOST_KEY = "etc/cto/host_ed25519"
ENROLL = "etc/cto/enroll.json"
SITE_FILE = "etc/cto/site.yaml"
PINS = "etc/cto/images.json"  # what the carried files are held to
_SECRET = (HOST_KEY, ENROLL)
KEYS = "etc/cto/authorized_keys"
USER_CA = "etc/cto/user_ca"
_SERIAL = re.compile(r"^ttyS[0-3]$")


@dataclass(frozen=True, slots=True)
class StaticAddress:
    """An address for one network card, or for the only one if `mac` is empty."""

    address: str  # "10.0.0.5/24"
    gateway: str = ""
    dns: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What a machine enrols with. `settings` is the file that its program reads, `token` the id in it."""

    settings: str = field(repr=False)
    token: str = ""
    role: str = ""
    expires: str = ""
    controller: str = ""  # address; empty: looked for by mDNS


@dataclass(frozen=True, slots=True)
class SiteLayer:
    """`authorized_keys` and `user_ca` are OpenSSH public key lines.

    `node` makes it the image of that one node: `host_key` (a private key, OpenSSH format) is the machine's,
    known to the controller beforehand, and after `countdown` seconds the controller may begin unasked.
    `enroll` makes it one whose machine asks the controller to take it, after the same countdown.
    `site_file` is the part of the site files that is about `site`; `pins` are SHA-256 by URL.
    """

    authorized_keys: tuple[str, ...] = ()
    user_ca: tuple[str, ...] = ()
    addresses: tuple[StaticAddress, ...] = ()
    node: str = ""
    host_key: bytes = field(default=b"", repr=False)
    site: str = ""
    site_file: str = field(default="", repr=False)
    enroll: Enrollment | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    countdown: int = 60
    locked: bool = False  # no shell at the console
    serial: str = "ttyS0"

    @property
    def secret(self) -> bool:
        """Whether who holds the image could do something with it that a stranger can't."""
        return bool(self.host_key or self.enroll)

    @property
    def unattended(self) -> bool:
        """Whether something happens without a key pressed, so that a countdown comes first."""
        return bool(self.node or self.enroll)


def check(layer: SiteLayer) -> None:
    """Refuses what would make an image that nobody can use, naming the place."""
    if not layer.authorized_keys and not layer.user_ca:
        raise OperatorError("no key is let in", fix="give the controller's public key with --key FILE")
    for line in (*layer.authorized_keys, *layer.user_ca):
        parse_public_key(line)
    if bool(layer.node) != bool(layer.host_key):
        raise OperatorError("the image of one node needs its host key", fix="name the node with --node")
    if not _SERIAL.fullmatch(layer.serial):
        raise OperatorError(f"{layer.serial!r} is no serial port", fix="use ttyS0, ttyS1, ttyS2 or ttyS3")
    for item in layer.addresses:
        check_address(item)


def check_address(item: StaticAddress) -> None:
    try:
        interface = ipaddress.ip_interface(item.address)
        gateway = ipaddress.ip_address(item.gateway) if item.gateway else None
        for server in item.dns:
            ipaddress.ip_address(server)
    except ValueError as error:
        raise OperatorError(str(error), where=item.address, fix="write it as 10.0.0.5/24") from error
    if "/" not in item.address:
        raise OperatorError("the prefix length is missing", where=item.address, fix="write it as 10.0.0.5/24")
    if gateway is not None and gateway not in interface.network:
        what = f"the gateway {gateway} is not in {interface.network}"
        raise OperatorError(what, where=item.address, fix="check address, prefix length and gateway")
    if item.mac and not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", item.mac):
        raise OperatorError(f"{item.mac!r} is no MAC address", fix="write it as 52:54:00:12:34:56")


def files(layer: SiteLayer) -> dict[str, bytes]:
    """Path in the environment → content. `HOST_KEY` is for root's eyes only."""
    settings = {
        "node": layer.node,
        "site": layer.site,
        "countdown": layer.countdown if layer.unattended else 0,
        "locked": layer.locked,
    }
    found = {SETTINGS: json.dumps(settings, sort_keys=True) + "\n"}
    if layer.authorized_keys:
        found[KEYS] = _lines(layer.authorized_keys)
    if layer.user_ca:
        found[USER_CA] = _lines(layer.user_ca)
    if layer.host_key:
        found[HOST_KEY] = layer.host_key.decode()
    if layer.enroll:
        found[ENROLL] = layer.enroll.settings
    if layer.site_file:
        found[SITE_FILE] = layer.site_file
    if layer.pins:
        found[PINS] = json.dumps(dict(layer.pins), sort_keys=True, indent=1) + "\n"
    for number, item in enumerate(layer.addresses):
        found[f"etc/systemd/network/{10 + number}-cto-static.network"] = network(item)
    return {name: text.encode() for name, text in sorted(found.items())}


def contents(layer: SiteLayer) -> tuple[str, ...]:
    """What the image carries besides the program, in words for its owner."""
    lines = [f"{len(layer.authorized_keys)} SSH public keys that are let in"]
    if layer.user_ca:
        lines.append(f"{len(layer.user_ca)} certificate authorities of users")
    lines += [f"address {item.address}" for item in layer.addresses]
    if layer.node:
        lines.append(f"the SSH host key of {layer.node}: who holds the image can pose as that machine")
        lines.append(
            f"that {layer.node} may be installed without a key pressed, {layer.countdown} s after start"
        )
    if layer.site_file:
        lines.append(f"the site file's part about {layer.site}")
    if layer.enroll:
        lines += _of_enrollment(layer, layer.enroll)
    lines += [f"{url} (SHA-256 {sha256})" for url, sha256 in sorted(layer.pins.items())]
    return tuple(lines)


def _of_enrollment(layer: SiteLayer, enroll: Enrollment) -> list[str]:
    until = f", good until {enroll.expires}" if enroll.expires else ""
    return [
        f"enrolment token {enroll.token} for one {enroll.role} at {layer.site}{until}",
        "  who holds the image can ask to be that machine",
        f"the controller's key, and {enroll.controller or 'no address: it is looked for by mDNS'}",
        f"that a machine asks to be enrolled without a key pressed, {layer.countdown} s after start",
    ]


def network(item: StaticAddress) -> str:
    """A systemd.network file."""
    match = f"MACAddress={item.mac}" if item.mac else "Type=ether\nKind=!*"
    rest = [f"Gateway={item.gateway}"] if item.gateway else []
    rest += [f"DNS={server}" for server in item.dns]
    body = "\n".join([f"Address={item.address}", *rest])
    return f"[Match]\n{match}\n\n[Network]\n{body}\nDHCP=no\nLLMNR=no\nMulticastDNS=no\n"


def image(layer: SiteLayer, *, mtime: int) -> bytes:
    """The archive that the boot loader gives the kernel after the environment's own."""
    entries = [
        cpio.Entry(f"site/{name}", content, mode=0o600 if name in _SECRET else 0o644)
        for name, content in files(layer).items()
    ]
    return gzip.compress(b"".join(cpio.archive(entries, mtime=mtime)), mtime=0)


def _lines(keys: tuple[str, ...]) -> str:
    return "".join(f"{key.strip()}\n" for key in keys)
