"""The lab of virtual machines from the controller's side: its site file, and pins by what the screens show.

The lab is its own console, so it may compare for the operator. Simulates nothing itself.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from controller.app.services import Services
from inventory.errors import CheckFailed, Unreachable
from inventory.openssh import parse_public_key
from iso.qemu import lab
from iso.qemu.lab import LabVm
from iso.qemu.members import SITE, Member, members, site_file

ACTOR = "lab"
_PAUSE = 1.0


def write_site_file(folder: Path, count: int, *, image: dict[str, str], kubernetes: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(site_file(members(count), image=image, kubernetes=kubernetes), encoding="utf-8")
    return path


async def pin_all(
    services: Services,
    folder: Path,
    *,
    seconds: float,
    tell: Callable[[str], None],
    pause: float = _PAUSE,
) -> int:
    """Waits until every machine shows its key, and pins each as it comes. Returns how many there are."""
    waiting = {member.name: member for member in members(len(lab.status(folder)))}
    total, end = len(waiting), asyncio.get_running_loop().time() + seconds
    while waiting:
        for machine in lab.status(folder):
            if machine.name in waiting and machine.state == "bootstrap":
                await pin(services, machine, waiting.pop(machine.name))
                tell(f"{machine.name} at {machine.address}: pinned, {machine.words}")
            elif machine.name in waiting and machine.state == "restarted":
                del waiting[machine.name]  # installed, most likely, and then it never shows a key again
                tell(f"{machine.name} at {machine.address}: restarted, it shows no key that could be pinned")
            elif machine.name in waiting and machine.state == "off":
                raise Unreachable("it ended while it started", where=machine.name, fix=f"see {folder}")
        if asyncio.get_running_loop().time() > end:
            raise Unreachable(
                f"{len(waiting)} of {total} machines did not start in {seconds:g} s: {', '.join(waiting)}",
                fix="cto lab status shows them; run cto lab up --qemu again to wait for them and pin them",
            )
        await asyncio.sleep(pause if waiting else 0)
    return total


async def pin(services: Services, machine: LabVm, member: Member) -> None:
    """Takes the key that answers, if it is the one on the machine's serial line."""
    line = await services.ssh.probe_host_key(machine.address, 22, "")
    key = parse_public_key(line)
    if key.fingerprint != machine.fingerprint:
        raise CheckFailed(
            f"another key answers ({key.fingerprint}) than the machine shows ({machine.fingerprint})",
            where=machine.name,
            fix="something else has its address: cto lab down, then look at this computer's network",
        )
    services.store.pin(
        machine.name,
        address=machine.address,
        host_key=key.line,
        site=SITE,
        cluster=SITE,
        role=member.role,
        actor=ACTOR,
        reason="read from the lab's own serial line",
        replace=True,
    )
