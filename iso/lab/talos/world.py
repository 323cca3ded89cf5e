"""Boots the lab's Talos from a disk: the door through which `iso.lab.machine` comes.

One world for the whole lab, since the machines of a cluster know each other. Starts no machine and decides
no boot order.
"""

import asyncio
import datetime as dt

from iso.lab.api import LabDisk, LabMachine
from iso.lab.talos import storage
from iso.lab.talos.instance import TalosInstance
from iso.lab.talos.shared import Clock, Release, Shared, Timings

MARKER = b"lab-talos: "  # in the first 64 KiB of EFI or BOOT: "lab-talos: v1.13.9 talos.config=metal-iso\n"
_MARKER_WITHIN = 64 << 10


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
        storage.check_bootable(disk)
        instance = TalosInstance(self._shared, machine, disk, self._release_on(disk))
        machine.log("talos-boot", version=instance.release.tag, disk=disk.name)
        instance.start()
        return instance

    def _release_on(self, disk: LabDisk) -> Release:
        """What the image says of itself; STATE remembers it once the half with the marker is gone."""
        table = storage.check_bootable(disk)
        for name in ("EFI", "BOOT"):
            part = table.named(name)
            if part is None:
                continue
            head = disk.read(table.offset(part), min(table.size(part), _MARKER_WITHIN))
            _, found, rest = head.partition(MARKER)
            if found:
                words = rest.split(b"\n", 1)[0].decode("ascii", errors="replace").split()
                return Release(words[0], "talos.config=metal-iso" in words[1:])
        record = storage.read_record(disk, "STATE")
        return Release(str(record["version"])) if record else self._release
