"""What updating a cluster's nodes needs from its Kubernetes API; `app.ports.KubeApi` has the rest.

Plain values and a protocol. Which pods may go, and when, is for the use cases; disruption budgets are the
cluster's own business, and hold for evictions only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class KubeNode:
    name: str
    ready: bool
    roles: tuple[str, ...]
    version: str
    unschedulable: bool


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    uid: str
    node: str
    phase: str  # Pending, Running, Succeeded, Failed, Unknown
    ready: bool
    controller: str = ""  # kind of what made it, such as DaemonSet; empty: nothing would make it again
    mirror: bool = False  # of a static pod: its kubelet runs it, whatever the API says
    deleting: bool = False
    images: Mapping[str, str] = field(default_factory=dict)  # by container

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds it and until when, in seconds since 1970. An empty holder: nobody."""

    holder: str = ""
    until: float = 0.0
    version: str = ""  # of the object, so that two who take it at once do not both get it


class KubeOperations(Protocol):
    """Errors as in `KubeApi`. `host` and `port`: where the API is reached, under the name it is known by."""

    async def node_states(
        self, kubeconfig: bytes, *, host: str = "", port: int = 0
    ) -> Sequence[KubeNode]: ...
    async def cordon(
        self, kubeconfig: bytes, node: str, *, on: bool, host: str = "", port: int = 0
    ) -> None: ...
    async def pods(
        self, kubeconfig: bytes, *, node: str = "", namespace: str = "", host: str = "", port: int = 0
    ) -> Sequence[Pod]: ...
    async def evict(
        self, kubeconfig: bytes, pod: Pod, *, dry_run: bool = False, host: str = "", port: int = 0
    ) -> str:
        """Why a disruption budget does not let it go now; empty if it goes, or is gone."""
        ...

    async def lease(
        self, kubeconfig: bytes, namespace: str, name: str, *, host: str = "", port: int = 0
    ) -> Lease: ...
    async def hold_lease(
        self,
        kubeconfig: bytes,
        namespace: str,
        name: str,
        holder: str,
        *,
        now: float,
        seconds: int,
        seen: Lease,
        host: str = "",
        port: int = 0,
    ) -> bool:
        """Takes or renews what `seen` showed; an empty `holder` gives it back. False: somebody was faster."""
        ...


class KubeObjectOperations(Protocol):
    """Any object by its path in the API, such as /api/v1/nodes/cp-1. Errors as in `KubeApi`."""

    async def get_object(
        self, kubeconfig: bytes, path: str, *, host: str = "", port: int = 0
    ) -> Mapping[str, Any] | None:
        """None if there is none, or none of that kind."""
        ...

    async def list_objects(
        self, kubeconfig: bytes, path: str, *, host: str = "", port: int = 0
    ) -> Sequence[Mapping[str, Any]] | None: ...
    async def create_object(
        self, kubeconfig: bytes, path: str, body: Mapping[str, Any], *, host: str = "", port: int = 0
    ) -> None:
        """Into the list at `path`; one that is there already is left as it is."""
        ...

    async def patch_object(
        self, kubeconfig: bytes, path: str, body: Mapping[str, Any], *, host: str = "", port: int = 0
    ) -> None:
        """A merge patch (RFC 7396)."""
        ...

    async def delete_object(self, kubeconfig: bytes, path: str, *, host: str = "", port: int = 0) -> None:
        """One that is not there is no error."""
        ...
