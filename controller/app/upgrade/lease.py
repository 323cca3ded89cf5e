"""The cluster's disruption lease: an object in the cluster itself, so that two controllers never act at once.

This controller's own order is kept by the engine lock and the store; the lease is for somebody else's. What
can't be asked (the only API server is away) is not waited for. Decides nothing else.
"""

import asyncio

from controller.app.kube_port import Lease
from controller.app.upgrade.looks import LEASE, SYSTEM
from controller.app.upgrade.reach import KubeCall, NotSent, Reach
from inventory.errors import FleetError

_SLACK = 120  # seconds beyond the act that it is taken for


class Disruption:
    def __init__(self, reach: Reach, holder: str) -> None:
        self._reach, self.holder = reach, holder
        self._until = 0.0
        self._taking_it = asyncio.Lock()

    async def hold(self, seconds: float) -> None:
        """Ours for so long from now on. Raises NotSent while somebody else holds it."""
        async with self._taking_it:  # two workers of one cluster want it at once, and both may have it
            await self._hold(seconds)

    async def _hold(self, seconds: float) -> None:
        now = self._reach.services.clock.now().timestamp()
        if self._until >= now + seconds:
            return
        try:
            taken = await self._reach.kube(self._taking(now, int(seconds) + _SLACK))
        except FleetError:
            return
        if taken:
            raise NotSent(f"{taken} holds the cluster's disruption lease", where=self._reach.cluster)
        self._until = now + seconds + _SLACK

    async def release(self) -> None:
        """Gives it back if it is ours; if that fails it ends by itself."""
        if not self._until:
            return
        self._until = 0.0
        now = self._reach.services.clock.now().timestamp()
        try:
            await self._reach.kube(self._taking(now, 1, give_back=True))
        except FleetError as error:
            subject = f"cluster/{self._reach.cluster}"
            text = f"the disruption lease could not be given back, and ends by itself: {error.what}"
            self._reach.services.store.event("LeaseKept", subject, text)

    def _taking(self, now: float, seconds: int, *, give_back: bool = False) -> KubeCall[str]:
        kube = self._reach.services.kube

        async def call(kubeconfig: bytes, host: str, port: int) -> str:
            """Who else holds it; empty: it is as wanted."""
            seen: Lease = await kube.lease(kubeconfig, SYSTEM, LEASE, host=host, port=port)
            foreign = seen.holder if seen.holder != self.holder and seen.until > now else ""
            if foreign or (give_back and seen.holder != self.holder):
                return foreign
            holder = "" if give_back else self.holder
            done = await kube.hold_lease(
                kubeconfig, SYSTEM, LEASE, holder, now=now, seconds=seconds, seen=seen, host=host, port=port
            )
            return "" if done or give_back else "somebody who was faster"

        return call
