"""The lab as one process: all its machines, one responder for mDNS, and a control socket. Ends on SIGTERM.

Started by `iso.lab.client.start`; `python -m iso.lab HOME` runs it in the foreground.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import asyncssh

from inventory.errors import BusyError, FleetError, OperatorError
from iso.lab import client, kinds
from iso.lab.api import World
from iso.lab.console import key_line
from iso.lab.control import Control
from iso.lab.machine import Machine, Surroundings
from iso.lab.mdns import Mdns
from iso.lab.spec import LabInfo, LabSpec, MachineInfo, MachineSpec, layout
from iso.lab.tools import all_tools

_log = logging.getLogger("iso.lab")
_AT_ONCE = 50  # machines that power on together


class Lab:
    """Everything that runs. `home` is the product's home; the lab lives in its folder `lab`."""

    def __init__(
        self, home: Path, spec: LabSpec, *, world: World | None, now: Callable[[], float] = time.time
    ) -> None:
        self.spec, self.folder = spec, client.folder(home)
        self.problems: list[str] = []
        self.ready = False
        self.ended = asyncio.Event()
        self.mdns = Mdns(problem=self.problems.append)
        jitter = random.Random(spec.seed)  # noqa: S311 - boot times that differ, the same for the same seed
        keys = asyncssh.import_authorized_keys(spec.authorized_keys) if spec.authorized_keys.strip() else None
        around = Surroundings(
            tools=all_tools(),
            authorized_keys=keys,
            world=world,
            advertiser=self.mdns,
            now=now,
            boot_seconds=lambda: spec.boot_seconds * jitter.uniform(0.8, 1.2),
        )
        disks = self.folder / "disks"
        disks.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.members = layout(spec)
        self.machines = {member.name: _machine(member, spec, disks, around) for member in self.members}
        self._control = Control(self)

    async def start(self) -> None:
        """Returns when every machine is up. Raises OperatorError if an address is taken."""
        await self.mdns.start()
        await self._control.start(client.socket_path(self.folder))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def power(machine: Machine) -> None:
            async with gate:
                await machine.power_on()

        try:
            async with asyncio.TaskGroup() as group:
                for machine in self.machines.values():
                    group.create_task(power(machine))
        except* OSError as errors:
            first = errors.exceptions[0]
            raise OperatorError(
                f"the lab's addresses can't be used: {first}",
                fix="another lab may run on them: stop it, or choose another --seed",
            ) from first
        self.ready = True
        _log.info("%d machines are up", len(self.machines))

    async def stop(self) -> None:
        self.ready = False
        await self._control.stop()
        await asyncio.gather(*(machine.stop() for machine in self.machines.values()), return_exceptions=True)
        await self.mdns.stop()

    def info(self) -> LabInfo:
        machines = tuple(self._one(member) for member in self.members)
        return LabInfo(os.getpid(), self.ready, machines, self.spec, tuple(self.problems))

    def _one(self, member: MachineSpec) -> MachineInfo:
        machine = self.machines[member.name]
        return MachineInfo(
            name=member.name,
            site=member.site,
            cluster=member.cluster,
            role=member.role,
            address=member.address,
            hardware=member.hardware,
            arch=machine.arch,
            ssh_port=machine.ssh_port,
            talos_port=machine.talos_port,
            kube_port=machine.kube_port,
            state=machine.state,
            host_key=machine.host_key,
            words=key_line(machine.host_key) if machine.host_key else "",
            uuid=machine.uuid,
            serial=machine.serial,
            enroll_id=machine.enroll_id,
            enroll_state=machine.enrolling.state.state if machine.enrolling else "",
            enroll_words=machine.enrolling.state.words if machine.enrolling else "",
            console=machine.console(),
            faults=machine.faults.waiting(),
        )


def _machine(member: MachineSpec, spec: LabSpec, disks: Path, around: Surroundings) -> Machine:
    hardware = kinds.make(member.hardware, seed=f"{spec.seed}/{member.name}")
    return Machine(
        member.name, member.address, hardware, disks, around,
        ssh_port=spec.ssh_port, talos_port=spec.talos_port, kube_port=spec.kube_port,
    )  # fmt: skip


def _world() -> World:
    from iso.lab.talos.world import TalosWorld

    return TalosWorld()


def _locked(folder: Path) -> TextIO:
    """The lab's lock, held until the process ends. Raises BusyError."""
    handle = (folder / "lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise BusyError(
            "a lab runs here already", where=str(folder), fix="`cto lab down` stops it"
        ) from error
    return handle


def _more_files() -> None:
    """Three sockets and some disks for each machine are more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(16384, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(home: Path, spec: LabSpec) -> None:
    lab = Lab(home, spec, world=_world())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lab.ended.set)
    try:
        await lab.start()
        await lab.ended.wait()
    finally:
        await lab.stop()


def main(home: Path) -> int:
    """Run the lab of `<home>/lab/spec.json` until it is told to end; the exit status."""
    folder = client.folder(home)
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    _more_files()
    failed = client.failure_path(folder)
    try:
        lock = _locked(folder)
    except BusyError as error:
        _log.error("%s", error)
        return 3
    with lock:
        failed.unlink(missing_ok=True)
        spec = LabSpec.from_dict(json.loads((folder / "spec.json").read_text()))
        try:
            asyncio.run(_serve(home, spec))
        except FleetError as error:
            failed.write_text(json.dumps({"what": error.what, "fix": error.fix}))
            _log.error("%s", error)
            return 2
        finally:
            with contextlib.suppress(FileNotFoundError):
                client.socket_path(folder).unlink()
    return 0
