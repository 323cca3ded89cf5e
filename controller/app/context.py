"""What one node's or one cluster's job carries through its steps. Decides nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller.app.desired import Desired
from controller.app.ports import Identity, TalosNode, Target
from controller.app.services import Services
from controller.store import ClusterRow, NodeRow
from inventory.errors import CheckFailed, InvariantError
from inventory.fleet import Cluster, Fleet, Node
from inventory.lifecycle import NodeState

if TYPE_CHECKING:  # it is made of jobs
    from controller.app.growth import Growth

TALOS_PORT = 50000  # Talos constants.go, ApidPort


def target_of(row: NodeRow) -> Target:
    """How the machine is reached, from what the operator pinned."""
    return Target(row.name, row.address, row.host_key, row.ssh_port, row.ssh_user, row.jump)


@dataclass(slots=True)
class ClusterGate:
    """What the members of one cluster wait for, and what they must not do at once."""

    cluster: str
    first_joined: asyncio.Event = field(default_factory=asyncio.Event)
    bootstrapped: asyncio.Event = field(default_factory=asyncio.Event)
    members_done: asyncio.Event = field(default_factory=asyncio.Event)
    broken: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""
    disruption: asyncio.Lock = field(default_factory=asyncio.Lock)

    def fail(self, reason: str) -> None:
        """Wakes everybody who waits for something that will not come."""
        self.reason = self.reason or reason
        self.broken.set()

    async def wait(self, event: asyncio.Event) -> None:
        """Until `event`; raises CheckFailed if the cluster broke first."""
        waiters = [asyncio.ensure_future(e.wait()) for e in (event, self.broken)]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
        if not event.is_set():
            raise CheckFailed(
                self.reason, where=self.cluster, fix="mend that first, then run cto apply again"
            )


@dataclass(slots=True)
class Limits:
    """How much happens at once, for one engine: streams share the uplink, runners share the cores."""

    gather: asyncio.Semaphore
    image: asyncio.Semaphore
    runner: asyncio.Semaphore
    talos: asyncio.Semaphore
    volume: asyncio.Semaphore  # configuration volumes in memory, 16 MiB each

    @classmethod
    def default(cls) -> "Limits":
        return cls(*(asyncio.Semaphore(count) for count in (64, 16, 8, 32, 4)))


@dataclass(slots=True)
class NodeJob:
    """One node on its way. `desired` is set by the `inspect` step, or at the start if it is behind us."""

    services: Services
    run: str
    fleet: Fleet
    node: Node
    cluster: Cluster
    gate: ClusterGate
    limits: Limits
    identity: Callable[[], Identity]
    desired: Desired | None = None
    peers: tuple["NodeJob", ...] = ()  # the other control planes of its cluster
    reset_accepted: bool = False  # by Talos, in this process: its silence is then the effect
    growth: "Growth | None" = None  # it is to join a cluster that is in use
    pushed: str = ""  # key of the maintenance mode that took the configuration, in this process

    @property
    def row(self) -> NodeRow:
        """The node as it is stored now."""
        row = self.services.store.node(self.node.name)
        if row is None:
            raise InvariantError(f"node {self.node.name} is not in the store")
        return row

    @property
    def state(self) -> NodeState:
        return NodeState(self.row.state)

    @property
    def record(self) -> Mapping[str, Any]:
        """What earlier steps recorded: disk, image, digests, boot id."""
        return self.row.record

    @property
    def target(self) -> Target:
        return target_of(self.row)

    def want(self) -> Desired:
        """The desired state; an error if `inspect` did not run."""
        if self.desired is None:
            raise InvariantError(f"{self.node.name} has no desired state yet")
        return self.desired

    def progress(self, step: str, done: int, total: int) -> None:
        self.services.store.progress(f"node/{self.node.name}", step, done, total)

    @asynccontextmanager
    async def talos(self) -> AsyncIterator[TalosNode]:
        """The node's Talos API with a certificate minted for this job."""
        address = self.node.talos_address or self.row.address
        async with (
            self.services.ssh.forward(self.target, TALOS_PORT) as (host, port),
            self.services.talos.connect(host, port, self.identity(), server_name=address) as node,
        ):
            yield node


@dataclass(slots=True)
class ClusterJob:
    """One cluster on its way. `members` are the jobs of the nodes that this run includes."""

    services: Services
    run: str
    cluster: Cluster
    gate: ClusterGate
    members: tuple[NodeJob, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)  # of the act: which node, which snapshot

    @property
    def row(self) -> ClusterRow:
        row = self.services.store.cluster(self.cluster.name)
        if row is None:
            raise InvariantError(f"cluster {self.cluster.name} is not in the store")
        return row

    @property
    def control_planes(self) -> tuple[NodeJob, ...]:
        return tuple(m for m in self.members if m.node.role != "worker")
