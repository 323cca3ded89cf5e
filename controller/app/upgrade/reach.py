"""How the nodes of one cluster are reached during a rollout: Talos by node, Kubernetes by any control plane.

Connections for reading are kept open, since a rollout looks every few seconds. What changes something gets a
connection of its own, so that a failure to connect is known to have sent nothing. Decides nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from controller.app.context import TALOS_PORT, Limits, target_of
from controller.app.identity import minting
from controller.app.ports import TalosNode
from controller.app.services import Services
from controller.store import NodeRow
from inventory.errors import CheckFailed, FleetError, Unreachable

KUBE_PORT = 6443
_OLD = 1200.0  # seconds: certificates for the Talos API last an hour
PATIENCE = 3.5  # seconds for one node's answer: one that took longer than the guard's five is of no use
T = TypeVar("T")
KubeCall = Callable[[bytes, str, int], Awaitable[T]]  # kubeconfig, host, port


class NotSent(FleetError):
    """Nothing can have reached the node."""

    slug = "not-sent"
    retryable = True


@dataclass(slots=True)
class _Link:
    stack: AsyncExitStack
    node: TalosNode
    since: float


class Reach:
    """One cluster. `close` when its part of the rollout is over. `patience`: seconds for a node's answer, the
    wait for its turn among all others included.
    """

    def __init__(
        self, services: Services, cluster: str, limits: Limits, *, patience: float = PATIENCE
    ) -> None:
        self.services, self.cluster, self.limits, self.patience = services, cluster, limits, patience
        self._identity = minting(services, cluster)
        self._links: dict[str, _Link] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def rows(self) -> dict[str, NodeRow]:
        return {row.name: row for row in self.services.store.nodes(cluster=self.cluster)}

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[TalosNode]:
        """The node over a kept connection, for calls that change nothing."""
        async with self.limits.talos:
            link = await self._link(name)
            try:
                yield link.node
            except (Unreachable, TimeoutError, asyncio.CancelledError):
                await self._drop(name, link)
                raise

    @asynccontextmanager
    async def acting(self, name: str) -> AsyncIterator[TalosNode]:
        """The node over a connection of its own. Raises NotSent if there is none."""
        async with AsyncExitStack() as stack:
            try:
                node = await self._open(name, stack)
            except FleetError as error:
                raise NotSent(error.what, where=name, fix=error.fix) from error
            yield node

    async def kube(self, call: KubeCall[T], *, but: str = "") -> T:
        """What a control plane's API server says: each is asked in turn, `but` as the last one."""
        kubeconfig = self.services.store.get_secret(f"cluster/{self.cluster}/kubeconfig")
        planes = sorted(
            (row for row in self.rows.values() if row.role != "worker"),
            key=lambda row: (row.name == but, row.name),
        )
        last: FleetError = CheckFailed("no control plane is known", where=self.cluster)
        for row in planes:
            try:
                async with self.services.ssh.forward(target_of(row), KUBE_PORT) as (host, port):
                    return await call(kubeconfig, host, port)
            except Unreachable as error:
                last = error
        raise last

    async def close(self) -> None:
        for name, link in list(self._links.items()):
            await self._drop(name, link)

    async def _link(self, name: str) -> _Link:
        async with self._locks.setdefault(name, asyncio.Lock()):
            now = self.services.clock.monotonic()
            link = self._links.get(name)
            if link is not None and now - link.since < _OLD:
                return link
            if link is not None:
                await self._drop(name, link)
            stack = AsyncExitStack()
            try:
                node = await self._open(name, stack)
            except BaseException:
                await stack.aclose()
                raise
            link = self._links[name] = _Link(stack, node, now)
            return link

    async def _open(self, name: str, stack: AsyncExitStack) -> TalosNode:
        row = self.rows.get(name)
        if row is None:
            raise CheckFailed("it is not in the store", where=name, fix="cto rollout status")
        host, port = await stack.enter_async_context(self.services.ssh.forward(target_of(row), TALOS_PORT))
        name_on_it = str(row.record.get("talos_address") or "") or row.address
        connected = self.services.talos.connect(host, port, self._identity(), server_name=name_on_it)
        return await stack.enter_async_context(connected)

    async def _drop(self, name: str, link: _Link) -> None:
        if self._links.get(name) is link:
            del self._links[name]
            await link.stack.aclose()
