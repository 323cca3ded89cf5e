"""The console of the environment: looks once a second, draws when something changed, answers function keys.

`python -m iso.environment.status` on the machine's first console. Changes nothing but the screen.
"""

import json
import os
import re
import select
import subprocess
import sys
import termios
import time
import tty
from dataclasses import dataclass, replace
from pathlib import Path

from inventory.openssh import parse_public_key
from inventory.words import key_words
from iso.environment import machine, qr, screen

_ROOT = Path("/")
_HOST_KEY = Path("/run/ssh/host_ed25519.pub")
_SETTINGS = Path("/etc/cto/settings.json")
_GO = Path("/run/cto/go")  # what ssh.service waits for on an image with a countdown
# What the Linux console, xterm and serial terminals send for the function keys.
KEYS = {
    "F1": ("\x1b[[A", "\x1bOP", "\x1b[11~"),
    "F2": ("\x1b[[B", "\x1bOQ", "\x1b[12~"),
    "F3": ("\x1b[[C", "\x1bOR", "\x1b[13~"),
    "F5": ("\x1b[[E", "\x1b[15~"),
}
_CLEAR, _HIDE, _WHITE, _PLAIN = "\x1b[2J\x1b[H", "\x1b[?25l", "\x1b[37;40;1m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Settings:
    """`node`: the one that this image is for; the controller may come in after `countdown` seconds."""

    node: str = ""
    countdown: int = 0
    locked: bool = False


def settings(path: Path = _SETTINGS) -> Settings:
    row = json.loads(path.read_text()) if path.exists() else {}
    return Settings(str(row.get("node", "")), int(row.get("countdown", 0)), bool(row.get("locked", False)))


def serial_ports(cmdline: str) -> tuple[str, ...]:
    """The serial consoles that the kernel was told of."""
    return tuple(dict.fromkeys(re.findall(r"\bconsole=(ttyS\d+|ttyAMA\d+|hvc\d+)", cmdline)))


def look(before: screen.Status) -> screen.Status:
    """The status now; what cannot change is taken over."""
    links = machine.links(_ROOT, machine.ip_addresses())
    doing = screen.work(machine.controllers(_ROOT), machine.writing(_ROOT))
    addresses = [address.split("/")[0] for link in links for address in link.addresses]
    url = f"ssh://root@{addresses[0]}/#{before.fingerprint}" if addresses else ""
    code = before.qr
    if url != before.url:
        code = tuple(qr.lines(qr.modules(url))) if url else ()
    return replace(before, disks=machine.disks(_ROOT), links=links, url=url, qr=code, work=doing)


def first(chosen: Settings) -> screen.Status:
    key = _HOST_KEY.read_text()
    keys = ["F1 overview", "F2 network", *([] if chosen.locked else ["F5 shell"])]
    return screen.Status(
        machine=machine.machine(_ROOT),
        name=Path("/proc/sys/kernel/hostname").read_text().strip(),
        fingerprint=parse_public_key(key).fingerprint,
        words=key_words(key),
        keys=tuple(keys),
    )


class Countdown:
    """The time before a node's own image lets its controller in. Any key stops it, F3 goes on at once."""

    def __init__(self, chosen: Settings, *, now: float) -> None:
        self._node, self._end = chosen.node, now + chosen.countdown
        self._stopped = False
        self.over = not chosen.node

    def press(self, key: str) -> bool:
        """Whether the key was for the countdown."""
        if self.over:
            return False
        if key == "F3":
            self._end, self._stopped = 0.0, False
        else:
            self._stopped = True
        return True

    def tick(self, now: float) -> str:
        """What to show; empty once it is over, which lets SSH start."""
        if not self.over and not self._stopped and now >= self._end:
            self.over = True
            _GO.parent.mkdir(parents=True, exist_ok=True)
            _GO.touch()
        if self.over:
            return ""
        if self._stopped:
            return f"{self._node}: stopped; F3 goes on"
        return (
            f"{self._node}: will be installed; starting in {max(1, round(self._end - now))} s, any key stops"
        )


class Console:
    """Draws to the terminal and to the serial ports, and only what is new."""

    def __init__(self, ports: tuple[str, ...]) -> None:
        self._ports = [Path("/dev") / port for port in ports]
        self._drawn: list[str] = []
        self._said = ""

    def show(self, status: screen.Status, *, network: bool) -> None:
        lines = network_page(status) if network else screen.draw(status)
        if lines != self._drawn:
            self._drawn = lines
            text = "\r\n".join(f"{_WHITE}{line}{_PLAIN}" for line in lines)
            sys.stdout.write(f"{_HIDE}{_CLEAR}{text}")
            sys.stdout.flush()
        said = screen.line(status)
        if said != self._said:
            # The whole block when an address came or went; progress is one line each.
            block = screen.serial(status) if _place(said) != _place(self._said) else []
            self._said = said
            for port in self._ports:
                _write(port, [*block, said])

    def forget(self) -> None:
        """Somebody else drew on the screen."""
        self._drawn = []


def _place(said: str) -> str:
    return said.partition(" work=")[0]


def _write(port: Path, lines: list[str]) -> None:
    try:
        descriptor = os.open(port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return  # named on the kernel's command line, but not there
    try:
        os.write(descriptor, "".join(f"{line}\n" for line in lines).encode("ascii", "replace"))
    except BlockingIOError:
        return  # nobody reads it
    finally:
        os.close(descriptor)


def network_page(status: screen.Status) -> list[str]:
    """Every card with all that is known of it."""
    rows = ["Network", ""]
    for link in status.links:
        rows.append(f"{link.name:<12} {link.mac}  {'link' if link.up else 'no link'}")
        rows += [f"{'':<12} {address}" for address in link.addresses]
    return [screen.printable(row)[: screen.COLUMNS - 1] for row in [*rows, "", "F1 overview"]]


def shell() -> None:
    """A root shell on this console, until it ends."""
    sys.stdout.write(f"{_PLAIN}{_CLEAR}\x1b[?25hType exit to go back.\r\n")
    sys.stdout.flush()
    subprocess.run(["/bin/bash", "-l"], check=False, cwd="/root", env={**os.environ, "HOME": "/root"})


def main() -> None:
    chosen = settings()
    console = Console(serial_ports(Path("/proc/cmdline").read_text()))
    countdown = Countdown(chosen, now=time.monotonic())
    status, network, terminal = first(chosen), False, sys.stdin.fileno()
    cooked = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    until = 0.0
    while True:
        if time.monotonic() >= until:
            status, until = look(status), time.monotonic() + 1
            waiting = countdown.tick(time.monotonic())
            console.show(replace(status, work=waiting) if waiting else status, network=network)
        if not select.select([terminal], [], [], 1)[0]:
            continue
        typed = os.read(terminal, 32).decode("ascii", "replace")
        pressed = next((key for key, codes in KEYS.items() if typed in codes), "")
        if not countdown.press(pressed) and pressed == "F5" and not chosen.locked:
            termios.tcsetattr(terminal, termios.TCSADRAIN, cooked)
            shell()
            tty.setcbreak(terminal)
        network = pressed == "F2"
        console.forget()
        until = 0.0


if __name__ == "__main__":
    main()
