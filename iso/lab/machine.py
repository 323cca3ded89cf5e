"""One simulated machine: its power, its disks, what the firmware boots, and what runs on it now.

off → booting → bootstrap (SSH and mDNS) or talos (from a disk that boots) → reboot … A power cut loses what
is in memory (host key, file tree, sessions) and keeps the disks and the firmware's variables.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from inventory.errors import OperatorError
from iso.lab import blocks, nvram
from iso.lab.api import Firmware, Instance, NotBootable, World
from iso.lab.console import console_text
from iso.lab.disk import Disk
from iso.lab.enroll import Enrolling
from iso.lab.faults import Fault, FaultBox
from iso.lab.host import Host
from iso.lab.kinds import Hardware
from iso.lab.shell.call import Tool
from iso.lab.ssh import SshServer

State = Literal["off", "booting", "bootstrap", "talos", "dark"]
_LOGGED = 2000  # events kept for each machine
_READS = ("kube", "exec", "command")
# What is told to Talos that changes what it runs: kept apart, so that weeks of reads don't push it out.
_DEEDS = ("Upgrade", "Reboot", "Rollback", "Reset", "Bootstrap", "ApplyConfiguration")
_GRACE = 0.05  # seconds between the order to reboot and the end, so that its answer gets out


class Advertiser(Protocol):
    """mDNS, as far as a machine needs it."""

    async def announce(self, name: str, address: str, port: int, enroll_id: str) -> None: ...
    async def withdraw(self, name: str, *, silently: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all machines of a lab share."""

    tools: Mapping[str, Tool]
    authorized_keys: Any  # asyncssh.SSHAuthorizedKeys
    world: World | None
    advertiser: Advertiser
    now: Callable[[], float]
    boot_seconds: Callable[[], float]  # the time until a system runs; jitter included


class Machine:
    """See `iso.lab.api.LabMachine`."""

    def __init__(
        self, name: str, address: str, hardware: Hardware, folder: Path, around: Surroundings, *,
        ssh_port: int = 2222, talos_port: int = 50000, kube_port: int = 6443,
    ) -> None:  # fmt: skip
        self.name, self.address, self.hardware = name, address, hardware
        self.ssh_port, self.talos_port, self.kube_port = ssh_port, talos_port, kube_port
        self.state: State = "off"
        self.events: deque[dict[str, Any]] = deque(maxlen=_LOGGED)
        self.deeds: deque[dict[str, Any]] = deque(maxlen=_LOGGED)  # without what only reads
        self.faults = FaultBox(self._fault_used)
        self.nvram = nvram.load(folder / f"{name}-nvram.json")
        self.clock_offset = 0.0
        self._around = around
        self._lock = asyncio.Lock()
        self._host: Host | None = None
        self._ssh: SshServer | None = None
        self._instance: Instance | None = None
        self.enrolling: Enrolling | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = False
        self.disks: dict[str, Disk] = {}
        for kind in hardware.disks:
            path = folder / f"{name}-{kind.name}.img"
            used = path.exists()
            disk = Disk(
                path,
                name=kind.name,
                size=kind.size,
                model=kind.model,
                serial=kind.serial,
                wwid=kind.wwid,
                rotational=kind.rotational,
                transport=kind.transport,
                sector_size=kind.sector_size,
            )
            disk.on_power_cut = self.power_cut
            self.disks[kind.name] = disk
            if kind.contents and not used:
                blocks.preload(disk, kind.contents, seed=f"{self.uuid}/{kind.name}")

    # --- what it is ------------------------------------------------------------------------------
    @property
    def uuid(self) -> str:
        identity = self.hardware.dmi.get("product_uuid") or self.hardware.device_tree.get(
            "serial-number", self.name
        )
        return identity.lower()

    @property
    def serial(self) -> str:
        return self.hardware.dmi.get("product_serial") or self.hardware.device_tree.get("serial-number", "")

    @property
    def arch(self) -> Literal["amd64", "arm64"]:
        return self.hardware.arch

    @property
    def firmware(self) -> Firmware:
        return self.hardware.firmware

    @property
    def macs(self) -> tuple[str, ...]:
        return tuple(nic.mac for nic in self.hardware.nics)

    @property
    def enroll_id(self) -> str:
        return hashlib.sha256(self.uuid.encode()).hexdigest()[:8]

    @property
    def instance(self) -> str:
        """What a machine without a name calls itself, in mDNS and as its host name."""
        return f"cto-{self.enroll_id}"

    @property
    def authorized_keys(self) -> Any:
        return self._around.authorized_keys

    @property
    def host_key(self) -> str:
        """Of the running bootstrap environment; empty while there is none."""
        return self._ssh.host_key if self._ssh else ""

    @property
    def host(self) -> Host | None:
        return self._host

    def console(self) -> str:
        return console_text(self, fingerprint=self._ssh.fingerprint if self._ssh else "")

    def log(self, event: str, **data: Any) -> None:
        told = {"at": self._around.now(), "event": event, **data}
        self.events.append(told)
        if event not in _READS and (event != "talos" or data["call"] in _DEEDS):
            self.deeds.append(told)

    def _fault_used(self, fault: Fault) -> None:
        self.log("fault", kind=fault.kind, point=fault.at, **fault.options)

    # --- power -----------------------------------------------------------------------------------
    async def power_on(self) -> None:
        """Boot, and return when something runs (or the machine stays dark)."""
        await self._cycle(on=True, abruptly=False)

    async def reboot(self) -> None:
        self.log("reboot")
        self._later(_GRACE, on=True, abruptly=False)

    async def power_off(self) -> None:
        self.log("power-off")
        self._later(_GRACE, on=False, abruptly=False)

    def power_cut(self) -> None:
        """The power fails now and returns at once: memory is lost, nobody says goodbye."""
        self.log("power-cut")
        self._later(0, on=True, abruptly=True)

    async def stop(self) -> None:
        """The lab ends: everything off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cycle(on=False, abruptly=False)
        for disk in self.disks.values():
            disk.close()

    def _later(self, seconds: float, *, on: bool, abruptly: bool) -> None:
        async def cycle() -> None:
            await asyncio.sleep(seconds)
            await self._cycle(on=on, abruptly=abruptly)

        task = asyncio.ensure_future(cycle())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log("lab-error", what=repr(task.exception()))
            self.state = "dark"

    async def _cycle(self, *, on: bool, abruptly: bool) -> None:
        async with self._lock:
            await self._stop_running(abruptly=abruptly)
            self.state = "off"
            if not on:
                return
            if self.faults.take("never-come-back") is not None:
                self.state = "dark"
                return
            self.state = "booting"
            await asyncio.sleep(self._around.boot_seconds())
            await self._boot()

    async def _stop_running(self, *, abruptly: bool) -> None:
        if self._instance is not None:
            instance, self._instance = self._instance, None
            await instance.stop()
        if self.enrolling is not None:
            await self.enrolling.stop()
        if self._ssh is not None:
            ssh, self._ssh = self._ssh, None
            await self._around.advertiser.withdraw(self.instance, silently=abruptly)
            await ssh.stop(abruptly=abruptly)
        if self._host is not None:
            host, self._host = self._host, None
            await host.stop()

    # --- boot ------------------------------------------------------------------------------------
    async def _boot(self) -> None:
        for disk in self._boot_order():
            if disk is None:
                break
            if await self._boot_disk(disk):
                return
        self._host = Host(self, self._around.tools, now=self._around.now)
        self._ssh = await SshServer.start(self._host)
        await self._around.advertiser.announce(self.instance, self.address, self.ssh_port, self.enroll_id)
        self.state = "bootstrap"
        if self.enrolling is not None:
            self.enrolling.start()
        self.log("boot", system="bootstrap", host_key=self.host_key)

    def _boot_order(self) -> list[Disk | None]:
        """The disks that the firmware tries, in order; None stands for the bootstrap environment."""
        if self.firmware == "bios":
            return [*self.disks.values(), None]
        order: list[Disk | None] = []
        for entry in self.nvram.candidates():
            if not entry.disk:
                order.append(None)
            elif entry.disk in self.disks:
                order.append(self.disks[entry.disk])
        return order

    async def _boot_disk(self, disk: Disk) -> bool:
        if self._around.world is None or not blocks.boots(disk):
            return False
        try:
            self._instance = await self._around.world.boot(self, disk)
        except NotBootable as error:
            self.log("not-bootable", disk=disk.name, why=str(error))
            return False
        self.state = "talos"
        self.log("boot", system="talos", disk=disk.name)
        return True

    # --- faults that act at once -----------------------------------------------------------------
    async def apply_fault(self, kind: str, **options: Any) -> None:
        """Arm a fault; those that do not wait for a command begin now."""
        self.log("fault-armed", kind=kind, **options)
        if kind == "power-cut":
            name = options.get("disk") or next(iter(self.disks))
            if name not in self.disks:
                raise OperatorError(
                    f"{self.name} has no disk {name!r}", fix="one of: " + ", ".join(self.disks)
                )
            size = int(options.get("bytes", options.get("after", 0)))
            self.disks[name].cut_power_after(size, lose_cache=bool(options.get("cache")))
            return
        self.faults.add(kind, **options)
        if kind == "refuse" and self._ssh is not None:
            await self._ssh.refuse()
            seconds = float(options.get("seconds", 5))
            if seconds:
                asyncio.get_running_loop().call_later(
                    seconds, lambda: asyncio.ensure_future(self.clear_faults("refuse"))
                )

    async def clear_faults(self, kind: str = "") -> None:
        refused = self.faults.has("refuse")
        self.faults.clear(kind)
        if refused and kind in ("", "refuse") and self._ssh is not None:
            await self._ssh.listen()
