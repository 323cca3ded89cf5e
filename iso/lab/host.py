"""One boot of the bootstrap environment on one machine: its file tree, devices, clock and tools.

Made anew at every boot and thrown away with the power. Serves no network: that is `iso.lab.ssh`.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from iso.lab import blocks, sysfs
from iso.lab.blocks import Volume
from iso.lab.shell.call import Tool

if TYPE_CHECKING:
    from iso.lab.machine import Machine
    from iso.lab.tools.filesystem import Mount

KERNEL = "6.1.0-37-amd64"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Host:
    kernel = KERNEL
    units = (
        "ssh",
        "avahi-daemon",
        "systemd-networkd",
        "systemd-resolved",
        "systemd-timesyncd",
        "systemd-udevd",
    )

    def __init__(self, machine: "Machine", tools: Mapping[str, Tool], *, now: Callable[[], float]) -> None:
        self.machine, self.hardware, self.faults = machine, machine.hardware, machine.faults
        self.name = machine.instance
        self.kernel = KERNEL if machine.arch == "amd64" else KERNEL.replace("amd64", "arm64")
        self.disks = machine.disks
        missing = set(self.hardware.missing)
        self.tools = {name: tool for name, tool in tools.items() if name not in missing} if missing else tools
        self.boot_id = sysfs.new_boot_id(secrets.token_bytes)
        self._now, self._booted = now, now()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._partitions: dict[str, tuple[Volume, ...]] = {}
        self.loops: dict[str, Volume] = {}
        self.mounts: dict[str, Mount] = {}  # by mount point
        self.files = sysfs.build(
            self.hardware,
            hostname=self.name,
            boot_id=self.boot_id,
            volumes=self._volumes,
            random_bytes=secrets.token_bytes,
        )

    def environment(self) -> dict[str, str]:
        return {
            "HOME": "/root",
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            "PATH": _PATH,
            "LANG": "C.UTF-8",
        }

    def now(self) -> float:
        return self._now() + self.machine.clock_offset

    def set_clock(self, epoch: float) -> None:
        self.machine.clock_offset = epoch - self._now()

    def uptime(self) -> float:
        return self._now() - self._booted

    def unique(self, length: int) -> str:
        return secrets.token_hex(length)[:length]

    def log(self, event: str, **data: Any) -> None:
        self.machine.log(event, **data)

    def partitions(self, disk: str) -> tuple[Volume, ...]:
        """The partitions as the kernel knows them: read again after each write to the disk."""
        if disk not in self._partitions:
            self._partitions[disk] = blocks.partitions(self.disks[disk], self.rescan)
        return self._partitions[disk]

    def rescan(self) -> None:
        self._partitions.clear()

    def _volumes(self) -> dict[str, Volume]:
        found: dict[str, Volume] = {}
        for disk in self.disks.values():
            found[disk.name] = blocks.whole(disk, self.rescan)
            found |= {part.name: part for part in self.partitions(disk.name)}
        return found | self.loops

    def keep(self, task: asyncio.Task[Any]) -> None:
        """End this task with the environment."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
