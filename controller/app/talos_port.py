"""What running a cluster needs from a Talos node beyond installing it; `app.ports.TalosNode` has the rest.

Plain values and a protocol only. Which call is safe when (quorum, windows, drain) is for the use cases: the
node itself checks little of it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

ResetMode = Literal["ALL", "SYSTEM_DISK", "USER_DISKS"]
RebootMode = Literal["DEFAULT", "POWERCYCLE", "FORCE"]  # FORCE since 1.12
UpgradeReboot = Literal["DEFAULT", "POWERCYCLE"]


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """One member's own view."""

    member_id: int
    leader: int  # 0: it knows none
    raft_term: int
    raft_index: int
    raft_applied_index: int
    db_size: int
    db_size_in_use: int
    is_learner: bool
    errors: tuple[str, ...] = ()
    protocol_version: str = ""
    storage_version: str = ""


@dataclass(frozen=True, slots=True)
class EtcdAlarm:
    member_id: int
    alarm: str  # NOSPACE, CORRUPT


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An etcd snapshot in a file. Its own checksum was verified; `sha256` is of the whole file."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LayerProgress:
    layer: str
    status: str  # DOWNLOADING, DOWNLOAD_COMPLETE, EXTRACTING, EXTRACT_COMPLETE, ALREADY_EXISTS
    offset: int
    total: int


@dataclass(frozen=True, slots=True)
class NodeImage:
    """One image in the node's own container store."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """`kind`: SequenceEvent, PhaseEvent, TaskEvent, ServiceStateEvent, MachineStatusEvent, …; `data` has the
    event's fields, enums by name. `actor` is what the call that caused it answered.
    """

    id: str
    actor: str
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeDisk:
    name: str  # "sda"
    size: int
    model: str
    serial: str
    wwid: str
    transport: str
    rotational: bool
    readonly: bool
    cdrom: bool
    dev_path: str
    symlinks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineMarks:
    """What a machine is known by; empty where it does not say. A small Arm board has no SMBIOS at all.

    `macs`: of its network cards, in lower case, as they were made where the driver tells that.
    """

    uuid: str = ""
    serial: str = ""
    macs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NodeHardware:
    """As DMI and PCI tell Talos; each row has the field names of Talos' own resources."""

    system: Mapping[str, Any]
    processors: tuple[Mapping[str, Any], ...]
    memory: tuple[Mapping[str, Any], ...]
    pci: tuple[Mapping[str, Any], ...]


class TalosOperations(Protocol):
    """Errors and deadlines as in `TalosNode`. Only reads may be asked twice by the adapter."""

    # Upgrade and rollback

    async def upgrade(
        self,
        image: str,
        *,
        preserve: bool = False,
        stage: bool = False,
        force: bool = False,
        reboot_mode: UpgradeReboot = "DEFAULT",
    ) -> str:
        """The call of Talos before 1.13: the node drains, installs and reboots by itself. Returns the actor
        id for `events`. `preserve` and `force` skip the node's etcd checks.
        """
        ...

    async def image_pull(self, image: str, *, progress: Callable[[LayerProgress], None] | None = None) -> str:
        """From 1.13. Into the store that `lifecycle_upgrade` installs from; returns the name stored."""
        ...

    async def images(self) -> Sequence[NodeImage]:
        """From 1.13: what is in that store."""
        ...

    async def lifecycle_upgrade(self, image: str, *, said: Callable[[str], None] | None = None) -> None:
        """From 1.13. Only installs: no etcd check, no drain, no reboot. The image must have been pulled.
        `said` gets the installer's lines. Raises CommandFailed if the installer ends with an error.
        """
        ...

    async def rollback(self) -> None:
        """Boot the other slot: flips the boot default and reboots."""
        ...

    async def boot_id(self) -> str:
        """Another one after each boot."""
        ...

    async def unproved_install(self) -> bool:
        """A version was installed that has not run well yet: Talos keeps the way back until it does."""
        ...

    async def clock(self) -> float:
        """The node's own, in seconds since 1970, to about a second."""
        ...

    async def free_bytes(self) -> int | None:
        """Room for images; None: it does not say."""
        ...

    # etcd

    async def etcd_status(self) -> EtcdStatus: ...
    async def etcd_alarms(self) -> Sequence[EtcdAlarm]: ...
    async def etcd_disarm(self) -> Sequence[EtcdAlarm]:
        """Returns the alarms that were disarmed."""
        ...

    async def etcd_snapshot(self, path: Path, *, max_bytes: int = 8 << 30) -> Snapshot:
        """Into a new file, 0600, there only once it is whole. Raises CheckFailed for a wrong checksum."""
        ...

    def etcd_snapshot_parts(self) -> AsyncGenerator[bytes, None]:
        """The same as it comes in, for somebody who checks and seals it on its way."""
        ...

    async def etcd_recover(self, parts: AsyncIterator[bytes]) -> None:
        """Hands a snapshot to a node whose etcd never started; `bootstrap(recover=True)` then uses it."""
        ...

    async def etcd_leave(self) -> None:
        """This node leaves the cluster and stops its etcd."""
        ...

    async def etcd_forfeit_leadership(self) -> str:
        """The member that leads now, in hex; empty if this node did not lead."""
        ...

    async def etcd_remove_member(self, member_id: int) -> None: ...

    # Watching

    def events(
        self, *, tail: int = 0, actor: str = "", after: str = "", deadline: float = 3600
    ) -> AsyncIterator[NodeEvent]:
        """As they happen, after `tail` past ones (-1: all there are) or those after the id `after`."""
        ...

    def logs(
        self, service: str, *, lines: int = 200, follow: bool = False, max_bytes: int = 4 << 20
    ) -> AsyncIterator[bytes]:
        """Ends at `max_bytes`."""
        ...

    def dmesg(self, *, follow: bool = False, max_bytes: int = 4 << 20) -> AsyncIterator[bytes]: ...

    # Hardware, services, META

    async def disks(self) -> Sequence[NodeDisk]: ...
    async def schematic(self) -> str:
        """Of the image that runs; empty for one that no image factory made."""
        ...

    async def running_config(self) -> str:
        """The documents that the node runs with, secrets included, as they were given to it. Administrators
        only: Talos calls this resource sensitive.
        """
        ...

    async def hardware(self) -> NodeHardware: ...
    async def marks(self) -> MachineMarks:
        """Also in maintenance mode."""
        ...

    async def service_restart(self, service: str) -> None: ...
    async def meta_write(self, key: int, value: bytes) -> None: ...
    async def meta_delete(self, key: int) -> None: ...
