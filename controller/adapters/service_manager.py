"""Tells systemd how we are: ready, alive, ending (sd_notify(3)). Without systemd it does nothing.

Only the loop that serves pages and engine sends the sign of life: if that hangs, systemd starts it anew.
"""

import asyncio
import contextlib
import socket
from collections.abc import Mapping

_MICRO = 1_000_000


class ServiceManager:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every = _interval(environ.get("WATCHDOG_USEC", ""))

    def ready(self) -> None:
        self._tell("READY=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    async def beat(self) -> None:
        """Until cancelled; at once and then twice in the time that is allowed."""
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._every or 3600)

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # A name that begins with @ is in Linux' abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(message.encode(), address)


def _interval(microseconds: str) -> float:
    """Half of what systemd allows between two signs of life; 0: it does not ask for any."""
    return int(microseconds) / _MICRO / 2 if microseconds.isascii() and microseconds.isdecimal() else 0.0
