"""Boots the lab's Talos from a disk: the door through which `iso.lab.machine` comes.

One world for the whole lab, since the machines of a cluster know each other. Starts no machine and decides
no boot order.
"""

import asyncio
import datetime as dt

from iso.lab.api import LabDisk, LabMachine
from iso.lab.talos import bootloader
from iso.lab.talos.instance import TalosInstance
from iso.lab.talos.shared import Clock, Release, Shared, Timings


class SystemTime:
    """The real clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class TalosWorld:
    def __init__(
        self, clock: Clock | None = None, *, timings: Timings | None = None, release: Release | None = None
    ) -> None:
        """`release` is what a disk without a marker holds."""
        self._shared = Shared(clock or SystemTime(), timings or Timings())
        self._release = release or Release()

    async def boot(self, machine: LabMachine, disk: LabDisk) -> TalosInstance:
        """Raises NotBootable. Returns at once; the instance goes on booting by itself."""
        release = bootloader.read(disk, self._release).booted
        instance = TalosInstance(self._shared, machine, disk, release)
        machine.log("talos-boot", version=release.tag, disk=disk.name)
        instance.start()
        return instance
