"""The console of the environment: looks once a second, tells what changed, and starts what a key asks for.

`python -m iso.environment.status` on the machine's first console. Changes nothing by itself.
"""

import json
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from inventory.openssh import parse_public_key
from inventory.words import key_words
from iso.environment import enrolling, machine, qr, screen, terminal
from iso.environment.countdown import Countdown, Settings

_ROOT = Path("/")
_HOST_KEY = Path("/run/ssh/host_ed25519.pub")
_SETTINGS = Path("/etc/cto/settings.json")
_ENROLL = Path("/etc/cto/enroll.json")
# Module and title. The title is there at once; the module may take a moment to load.
_DIALOGS = {
    "F1": ("network", "Network of this machine"),
    "F2": ("setup", "Set up this machine without another computer"),
    "F3": ("command_line", "Commands of cto"),
}


def settings(path: Path = _SETTINGS, enroll: Path = _ENROLL) -> Settings:
    row = json.loads(path.read_text()) if path.exists() else {}
    return Settings(
        node=str(row.get("node", "")),
        site=str(row.get("site", "")),
        countdown=int(row.get("countdown", 0)),
        locked=bool(row.get("locked", False)),
        enrolls=enroll.exists(),
    )


def serial_ports(cmdline: str) -> tuple[str, ...]:
    """The serial consoles that the kernel was told of."""
    return tuple(dict.fromkeys(re.findall(r"\bconsole=(ttyS\d+|ttyAMA\d+|hvc\d+)", cmdline)))


def look(before: screen.Status) -> screen.Status:
    """The status now; what cannot change is taken over."""
    links = machine.links(_ROOT, machine.ip_addresses())
    enrolled = enrolling.read()
    writing = machine.writing(_ROOT)
    doing = screen.work(machine.controllers(_ROOT), writing, enrolled)
    addresses = [address.split("/")[0] for link in links for address in link.addresses]
    url = f"ssh://root@{addresses[0]}/#{before.fingerprint}" if addresses else ""
    code = before.qr
    if url != before.url:
        code = tuple(qr.lines(qr.modules(url))) if url else ()
    disks = machine.disks(_ROOT)
    return replace(
        before,
        disks=disks,
        links=links,
        url=url,
        qr=code,
        work=doing,
        writing=writing is not None,
        enrolling=enrolled,
    )


def first(chosen: Settings) -> screen.Status:
    key = _HOST_KEY.read_text()
    return screen.Status(
        machine=machine.machine(_ROOT),
        name=Path("/proc/sys/kernel/hostname").read_text().strip(),
        fingerprint=parse_public_key(key).fingerprint,
        words=key_words(key),
        keys=keys_of(chosen),
    )


def keys_of(chosen: Settings) -> tuple[str, ...]:
    """What the keys do, for the bottom of the screen."""
    return ("F1 network", "F2 set up", "F3 cto", *([] if chosen.locked else ["F4 shell"]))


def program(key: str, chosen: Settings) -> tuple[list[str], str]:
    """What a key starts, and what is said before; nothing for keys that start nothing."""
    if key == "F4" and not chosen.locked:
        return ["/bin/bash", "-l"], "Type exit to go back."
    if key not in _DIALOGS:
        return [], ""
    locked = ["--locked"] if chosen.locked else []
    module, title = _DIALOGS[key]
    return [sys.executable, "-m", f"iso.environment.{module}", *locked], title


class Console:
    """The screen and the serial lines, and one countdown for all of them."""

    def __init__(self, chosen: Settings, *, now: float) -> None:
        self._chosen = chosen
        self._countdown = Countdown(chosen, now=now)
        self._screen = terminal.Screen()
        self._lines = terminal.lines(serial_ports(Path("/proc/cmdline").read_text()))
        self._status = first(chosen)

    def refresh(self, now: float) -> None:
        self._status = look(self._status)
        waiting = self._countdown.tick(now)
        shown = replace(self._status, work=waiting) if waiting else self._status
        self._screen.draw(screen.draw(shown))
        for port in list(self._lines):
            with self._unless_gone(port):
                port.say(screen.serial(shown), screen.line(shown))

    def wait(self, seconds: float) -> None:
        """For keys, and does what they ask for."""
        everywhere: list[terminal.Terminal] = [self._screen, *self._lines]
        for one in everywhere:
            with self._unless_gone(one):
                one.ended()
        everywhere = [self._screen, *self._lines]
        free = {one.descriptor: one for one in everywhere if not one.busy}
        ready = select.select(list(free), [], [], seconds)[0]
        for descriptor in ready:
            with self._unless_gone(free[descriptor]):
                self._press(free[descriptor], free[descriptor].pressed())
        for one in free.values():
            if one.descriptor not in ready:
                self._press(one, one.keys.give_up())

    @contextmanager
    def _unless_gone(self, one: terminal.Terminal) -> Iterator[None]:
        """A serial line that fails is given up; without the screen there is nothing to do here."""
        try:
            yield
        except OSError:
            if one is self._screen:
                raise
            self._lines = [line for line in self._lines if line is not one]

    def _press(self, one: terminal.Terminal, keys: list[str]) -> None:
        for key in keys:
            if self._countdown.press(key):
                continue
            argv, greeting = program(key, self._chosen)
            if argv:
                one.run(argv, greeting)
                return
            one.forget()  # drawn anew: whoever presses a key wants to see that something lives


def main() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, lambda _number, _frame: None)  # meant for the program in front, not for us
    console = Console(settings(), now=time.monotonic())
    while True:
        console.refresh(time.monotonic())
        console.wait(1.0)


if __name__ == "__main__":
    main()
