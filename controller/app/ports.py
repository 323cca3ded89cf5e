"""What the use cases need from the outside world. Adapters implement these; the lab's peers test them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from controller.app.kube_port import KubeNode as KubeNode  # noqa: PLC0414 - everybody takes it from here
from controller.app.kube_port import KubeObjectOperations, KubeOperations
from controller.app.ssh_port import Clock as Clock  # noqa: PLC0414 - everybody takes it from here
from controller.app.ssh_port import Completed as Completed  # noqa: PLC0414 - everybody takes it from here
from controller.app.ssh_port import Ssh as Ssh  # noqa: PLC0414 - everybody takes it from here
from controller.app.ssh_port import Target as Target  # noqa: PLC0414 - everybody takes it from here
from controller.app.talos_port import RebootMode, ResetMode, TalosOperations
from inventory.fleet import Cluster
from roles.platform import InlineManifest


@dataclass(frozen=True, slots=True)
class Job:
    """One pyinfra deploy on one machine. `deploy` names a module of `deploys`; `data` is JSON."""

    id: str
    deploy: str
    target: Target
    data: Mapping[str, Any] = field(default_factory=dict)
    deadline: float = 120  # seconds
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RunnerEvent:
    """`kind`: started, operation (name, changed, ok), output (line), result (ok, changed, data), error
    (what, fix).
    """

    job: str
    kind: Literal["started", "operation", "output", "result", "error"]
    data: Mapping[str, Any]


class Runner(Protocol):
    def run(self, job: Job) -> AsyncGenerator[RunnerEvent, None]:
        """Events until `result` or `error`. Closing the iterator kills the job's process group."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """A client certificate for the Talos API, PEM; minted per job, at most one hour."""

    ca: str
    crt: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MachineStatus:
    # booting, installing, maintenance, running, rebooting, shutting-down, resetting, upgrading, unknown
    stage: str
    ready: bool
    unmet: tuple[str, ...] = ()  # "name: reason"


@dataclass(frozen=True, slots=True)
class TalosVersion:
    tag: str  # "v1.13.9"
    arch: str
    platform: str


@dataclass(frozen=True, slots=True)
class EtcdMember:
    id: int
    hostname: str
    peer_urls: tuple[str, ...]
    is_learner: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """One row of DiscoveredVolumes.block.talos.dev. `name` is what BlockDeviceWipe takes ("sda5")."""

    name: str
    label: str
    partition_label: str
    partition_uuid: str
    dev_path: str
    parent_dev_path: str


@dataclass(frozen=True, slots=True)
class Applied:
    mode: str  # AUTO, NO_REBOOT, STAGED, TRY, REBOOT
    details: str  # with dry_run: a text diff
    warnings: tuple[str, ...] = ()


class TalosNode(TalosOperations, Protocol):
    """One node over one open channel. Every call has a deadline; raises Unreachable, NodeError."""

    async def version(self) -> TalosVersion: ...
    async def machine_status(self) -> MachineStatus: ...
    async def services(self) -> Mapping[str, str]:
        """Service id → "state/health" as in "Running/healthy", "Preparing/unknown"."""
        ...

    async def apply_configuration(
        self,
        document: bytes,
        *,
        mode: Literal["AUTO", "NO_REBOOT", "STAGED", "TRY"] = "AUTO",
        dry_run: bool = False,
    ) -> Applied: ...
    async def bootstrap(self, *, recover: bool = False) -> bool:
        """True if etcd was started by this call, False if it had been started before (AlreadyExists).
        `recover`: with the snapshot that `etcd_recover` brought.
        Raises `NotYet` (retryable) for FailedPrecondition.
        """
        ...

    async def etcd_members(self) -> Sequence[EtcdMember]: ...
    async def kubeconfig(self) -> bytes: ...
    async def volumes(self) -> Sequence[Volume]: ...
    async def wipe(self, device: str, *, drop_partition: bool) -> None: ...
    async def reset(
        self,
        *,
        graceful: bool,
        reboot: bool,
        mode: ResetMode = "SYSTEM_DISK",
        partitions: Sequence[str] = (),
        user_disks: Sequence[str] = (),
    ) -> None:
        """`partitions` (STATE, EPHEMERAL): only these of the system disk instead of all of it."""
        ...

    async def reboot(self, mode: RebootMode = "DEFAULT") -> None: ...
    async def resource(self, type_: str, namespace: str, id_: str) -> Mapping[str, Any]: ...


class TalosApi(Protocol):
    def connect(
        self, host: str, port: int, identity: Identity, *, server_name: str
    ) -> AbstractAsyncContextManager[TalosNode]:
        """Mutual TLS with Ed25519; `server_name` is the address the node's certificate must carry."""
        ...

    def connect_maintenance(
        self, host: str, port: int, *, fingerprint: str = "", trusted_segment: bool = False
    ) -> AbstractAsyncContextManager[TalosNode]:
        """A node without configuration: no client certificate, and its own is self-signed. `fingerprint` is
        what its console shows: base64 of SHA-256 of the public key. Raises HostKeyMismatch for another
        key, and RefusedError if there is neither a fingerprint nor a segment declared as trusted.
        """
        ...

    async def maintenance_key(self, host: str, port: int) -> str:
        """The fingerprint that a node in maintenance mode shows; empty if a node with a configuration (or
        none of Talos) answers. NOT trusted: for comparing only, nothing is sent. Raises Unreachable.
        """
        ...


class KubeApi(KubeOperations, KubeObjectOperations, Protocol):
    async def nodes(self, kubeconfig: bytes, *, host: str = "", port: int = 0) -> Sequence[KubeNode]: ...
    async def version(self, kubeconfig: bytes, *, host: str = "", port: int = 0) -> str: ...
    async def daemon_sets(
        self, kubeconfig: bytes, namespace: str, *, host: str = "", port: int = 0
    ) -> Mapping[str, tuple[int, int]]:
        """Name → nodes on which it is ready, and on which it should be."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """One mDNS answer. Nothing in it is trusted; `conflict` says why it must not be believed."""

    instance: str
    addresses: tuple[str, ...]
    port: int
    enroll_id: str
    at: datetime
    conflict: str = ""


class Discovery(Protocol):
    def watch(self, *, seconds: float, interfaces: Sequence[str] = ()) -> AsyncIterator[Sequence[Seen]]:
        """The whole seen list each time it changed, capped at 500 and expiring."""
        ...


@dataclass(frozen=True, slots=True)
class CachedImage:
    """A disk image in the cache. `body_sha256` is of the raw bytes from 1 MiB on (what is written first)."""

    path: str
    sha256: str  # of the file as fetched
    compressed_size: int
    raw_size: int
    body_sha256: str
    first_mib: bytes = field(repr=False)


class Manifests(Protocol):
    """Manifest files that site files name, each held to its SHA-256."""

    async def prepare(self, clusters: Iterable[Cluster]) -> None:
        """Fetches what `of` will read, as far as that can be had."""
        ...

    def of(self, cluster: Cluster) -> Mapping[str, InlineManifest]:
        """By part (cilium, argocd). Raises OperatorError for a file that is missing or can't be used,
        RefusedError for one that is not the one asked for.
        """
        ...

    def files(self, cluster: Cluster) -> Mapping[str, Path]:
        """URL → the file here that stands for it, of those that `of` reads."""
        ...


class Images(Protocol):
    async def ensure(
        self, url: str, sha256: str, *, progress: Callable[[int, int], None], schematic: str = ""
    ) -> CachedImage:
        """Fetches (with resume) and checks. Raises TransportError, or OperatorError for a wrong hash.

        `schematic`: the document that a factory is told if it doesn't know the image yet.
        """
        ...

    def chunks(self, image: CachedImage) -> AsyncIterator[bytes]:
        """The compressed bytes, hashed again as they are read; raises if the file changed meanwhile."""
        ...
