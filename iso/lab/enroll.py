"""A lab machine that enrols by itself, as one that was started from an image with a token does.

The program is the one that real machines run (`iso.enroll`); only the hardware ids come from the lab's data.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inventory.openssh import parse_public_key
from iso.enroll import hardware
from iso.enroll.client import Enroller, Pauses, State
from iso.enroll.config import EnrollConfig
from iso.enroll.find import Finder, MdnsFinder, SharedFinder
from iso.enroll.kept import Kept
from roles.enrollment.hardware import SSH_PORT
from roles.enrollment.node import Node
from roles.enrollment.token import Token

if TYPE_CHECKING:
    from iso.lab.machine import Machine

_PAUSES = Pauses(look=5.0, retry=13.0, refused=15.0)  # seconds; five attempts a minute are let in


class Enrolling:
    """What is in the machine's image; asks anew, with new keys, at each boot."""

    def __init__(self, machine: "Machine", config: EnrollConfig, finder: Finder | None) -> None:
        self._machine, self._config, self._finder = machine, config, finder
        self._task: asyncio.Task[Any] | None = None
        self.state = State("looking", "")

    def start(self) -> None:
        config, kept = self._config, Kept(os.urandom(32))
        enroller = Enroller(
            _node(self._machine, kept.seed),
            Token.from_text(config.token),
            kept,
            self._report,
            pin=bytes.fromhex(config.pin),
            places=config.invitations(),
            finder=self._finder if config.mdns else None,
            pauses=_PAUSES,
            local=self._machine.address,
        )
        self._task = asyncio.ensure_future(enroller.run())

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _report(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._machine.log("enroll", state=state.state, text=state.text)


def finder() -> Finder:
    """For all machines of a lab: on the loopback, and one look at a time."""
    return SharedFinder(MdnsFinder(("127.0.0.1",)))


def ids(machine: "Machine") -> Mapping[str, str]:
    dmi = machine.hardware.dmi
    found = {
        "vendor": dmi.get("sys_vendor", ""),
        "product": dmi.get("product_name", ""),
        "serial": machine.serial,
        "uuid": machine.uuid,
        **{f"mac{number}": mac for number, mac in enumerate(machine.macs[:8])},
    }
    if machine.ssh_port != 22:
        found[SSH_PORT] = str(machine.ssh_port)
    return hardware.fit(found)


def _node(machine: "Machine", seed: bytes) -> Node:
    return Node(machine.instance, seed, parse_public_key(machine.host_key).blob, ids(machine))
