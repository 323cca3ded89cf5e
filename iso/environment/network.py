"""The dialog behind F1: every card with all that is known of it; DHCP or a static address for one of them.

What is set holds until the next start; an image with `--static` holds it for ever. `python -m` on a terminal.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from iso.environment import ask, enrolling, machine
from iso.environment.machine import Link
from iso.render.site import StaticAddress, check_address, network
from roles.enrollment.invitation import Invitation

_ROOT = Path("/")
_FOLDER = Path("/etc/systemd/network")
_SECONDS = 15  # for an address to appear


def overview(links: Sequence[Link]) -> list[str]:
    """Cards as lines of text."""
    rows = ["Network", ""]
    for link in links:
        rows.append(f"{link.name:<12} {link.mac}  {'link' if link.up else 'no link'}")
        rows += [f"{'':<12} {address}" for address in link.addresses]
    return (
        rows
        if links
        else [*rows, "no network card found: perhaps its firmware is missing (cto iso build --firmware)"]
    )


def dhcp(mac: str) -> str:
    """A systemd.network file that asks for an address, whatever the image says of this card."""
    return (
        f"[Match]\nMACAddress={mac}\n\n[Network]\nDHCP=yes\nLLMNR=no\nMulticastDNS=no\n"
        "LinkLocalAddressing=ipv6\n\n[DHCPv4]\nClientIdentifier=mac\n"
    )


def understand(text: str, gateway: str, dns: str, mac: str) -> StaticAddress:
    """What was typed, as an address that can be used. Raises OperatorError with what is wrong."""
    servers = tuple(part for part in dns.replace(",", " ").split() if part)
    made = StaticAddress(text, gateway, servers, mac.lower())
    check_address(made)
    return made


def put(link: Link, text: str, folder: Path = _FOLDER) -> Path:
    """The card's file, before all others in the order in which systemd-networkd looks."""
    path = folder / f"05-cto-console-{link.mac.replace(':', '')}.network"
    path.write_text(text, encoding="ascii")
    return path


def _static(link: Link) -> str:
    def address(text: str) -> str:
        return understand(text, "", "", link.mac).address

    chosen = ask.ask("address and prefix length, such as 10.0.0.5/24", address)
    gateway = ask.ask("gateway (Enter: none)", lambda text: understand(chosen, text, "", link.mac).gateway)
    dns = ask.ask(
        "name servers (Enter: none)",
        lambda text: " ".join(understand(chosen, gateway, text, link.mac).dns),
    )
    return network(understand(chosen, gateway, dns, link.mac))


def _apply(link: Link, text: str) -> None:
    put(link, text)
    done = subprocess.run(
        ["systemctl", "restart", "systemd-networkd"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        ask.say(f"  the network could not be set up again: {done.stderr.strip()}")
        return
    ask.say("  waiting for the address…")
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        now = next((item for item in _links() if item.name == link.name), link)
        if now.addresses:
            ask.say(f"  {link.name} has {', '.join(now.addresses)}")
            return
        time.sleep(0.5)
    ask.say(f"  no address yet; is the cable of {link.name} in, and is there a DHCP server?")


def _links() -> tuple[Link, ...]:
    return machine.links(_ROOT, machine.ip_addresses())


def _controller() -> None:
    """Where the controller is, for networks that mDNS does not cross."""
    typed = ask.ask("controller's address, or the cto-enroll:// text of its QR code", typed_address)
    enrolling.ADDRESS.write_text(f"{typed}\n", encoding="ascii")
    ask.say("  it is tried next")


def typed_address(text: str) -> str:
    Invitation.parse(text)
    return text


def main() -> None:
    enrolls = Path("/etc/cto/enroll.json").exists()
    ways = "d DHCP, s static address" + (", c controller's address" if enrolls else "") + ", Enter back"
    try:
        while True:
            links = _links()
            for row in overview(links):
                ask.say(row)
            ask.say()
            way = ask.ask(ways, lambda text: text.lower()[:1])
            if not way:
                return
            if way == "c" and enrolls:
                _controller()
            elif way in ("d", "s") and links:
                link = links[0] if len(links) == 1 else ask.choose("card", links, lambda item: item.name)
                _apply(link, dhcp(link.mac) if way == "d" else _static(link))
            ask.say()
    except ask.Left:
        return


if __name__ == "__main__":
    main()
