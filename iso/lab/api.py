"""What the parts of the lab know of each other: disks, machines, faults, and what boots from a disk.

Protocols only. `iso.lab.machine` implements LabMachine, `iso.lab.disk` LabDisk, `iso.lab.faults` Faults;
`iso.lab.talos.world` implements World and Instance.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from iso.lab.kinds import Hardware

Firmware = Literal["uefi", "bios"]


class NotBootable(Exception):
    """The disk has no system that starts: no boot sector, no valid partition table, no META partition…"""


class LabDisk(Protocol):
    """One disk of a machine. Its contents survive reboots and power cuts."""

    @property
    def name(self) -> str:
        """Kernel name without /dev/: "sda", "nvme0n1", "vda", "mmcblk0"."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def model(self) -> str: ...
    @property
    def serial(self) -> str: ...
    @property
    def wwid(self) -> str:
        """As in sysfs: "eui.…", "naa.…"; empty if the disk has none."""
        ...

    @property
    def rotational(self) -> bool: ...
    @property
    def transport(self) -> str:
        """nvme, sata, sas, usb, virtio, mmc."""
        ...

    @property
    def sector_size(self) -> int:
        """Logical: 512 or 4096."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, fewer only at the end of the disk."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Raises OSError (ENOSPC) beyond the end and `iso.lab.disk.PowerCut` when the power fails."""
        ...

    def flush(self) -> None: ...


class Faults(Protocol):
    """What a machine was told to do wrong. A fault counts: `times` uses, then it is gone."""

    def take(self, kind: str, point: str = "") -> Mapping[str, Any] | None:
        """Use up one fault of this kind (whose `at`, if it has one, equals `point`): its options, or None."""
        ...

    def has(self, kind: str) -> bool:
        """Is one waiting? Uses nothing up."""
        ...


class LabMachine(Protocol):
    """One simulated machine, as the system that runs on it sees it."""

    clock_offset: float  # seconds

    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str:
        """Its loopback address, 127.x.y.z; every port of it is the machine's own."""
        ...

    @property
    def talos_port(self) -> int: ...
    @property
    def kube_port(self) -> int: ...
    @property
    def uuid(self) -> str:
        """DMI UUID, lower case."""
        ...

    @property
    def serial(self) -> str: ...
    @property
    def arch(self) -> Literal["amd64", "arm64"]: ...
    @property
    def firmware(self) -> Firmware: ...
    @property
    def disks(self) -> Mapping[str, LabDisk]: ...
    @property
    def faults(self) -> Faults: ...
    @property
    def hardware(self) -> Hardware | None:
        """What DMI and PCI would tell; None: nothing."""
        ...

    @property
    def macs(self) -> tuple[str, ...]: ...

    async def reboot(self) -> None:
        """Order a reboot. Returns at once: the running system is stopped a moment later, by the machine."""
        ...

    async def power_off(self) -> None:
        """As `reboot`, and stay off."""
        ...

    def log(self, event: str, **data: Any) -> None:
        """Remember what the machine was asked or did; the operation "log" of `iso.lab.client` shows it."""
        ...


class Instance(Protocol):
    """A system that was booted from a disk and runs until it is stopped."""

    async def stop(self) -> None:
        """Close every port and end every task. Called once, also when the power fails."""
        ...


class World(Protocol):
    """Boots systems from disks. One for the whole lab, since the machines of a cluster know each other."""

    async def boot(self, machine: LabMachine, disk: LabDisk) -> Instance:
        """Raises NotBootable."""
        ...
