"""Where a lab Talos gets its configuration at boot, and where it keeps it: STATE, then the metal-iso volume.

A bad configuration is read again for ever; only a machine without any source goes on to maintenance mode.
"""

from collections.abc import Callable
from typing import TypeVar

from iso.lab.api import LabDisk, LabMachine
from iso.lab.talos import storage
from iso.lab.talos.config import ConfigError, MachineConfig, load
from iso.lab.talos.shared import Release, Shared
from roles.fat import FatError

_T = TypeVar("_T")


class ConfigSource:
    def __init__(self, shared: Shared, machine: LabMachine, disk: LabDisk, release: Release) -> None:
        self._shared, self._machine, self._disk, self._release = shared, machine, disk, release
        self.claimed = ""  # id of the volume that stays in use until a reboot (1.10, 1.11)
        self._error = ""

    async def stored(self) -> MachineConfig | None:
        """What the first STATE on any disk holds: it wins over every other source."""
        if storage.find_state(self._machine.disks) is None:
            return None
        return await self._retried(self._from_state)

    async def delivered(self) -> MachineConfig | None:
        """From a labelled volume, which only an image with that kernel argument looks for."""
        return await self._retried(self._from_medium)

    def persist(self, config: MachineConfig) -> None:
        text = config.text.decode(errors="surrogateescape")
        storage.write_record(self._disk, "STATE", {"config": text, "version": self._release.tag})

    async def _retried(self, read: Callable[[], _T]) -> _T:
        while True:
            try:
                return read()
            except (ConfigError, FatError) as error:
                if str(error) != self._error:
                    self._error = str(error)
                    self._machine.log("talos-config-error", error=self._error)
                await self._shared.clock.sleep(self._shared.timings.retry)

    def _from_state(self) -> MachineConfig:
        text = storage.find_state(self._machine.disks)
        if text is None:
            raise ConfigError("STATE lost its config.yaml")
        return self._parse(text)

    def _from_medium(self) -> MachineConfig | None:
        if not self._release.needs_metal_iso:
            return None
        found = storage.find_config(self._machine.disks)
        if found is None:
            raise ConfigError("no volume with the label metal-iso")
        volume, content = found
        config = self._parse(content)
        if self._release.minor in {10, 11}:
            self.claimed = volume.id
        return config

    def _parse(self, text: bytes) -> MachineConfig:
        return load(text, minor=self._release.minor, disks=self._machine.disks.values())
