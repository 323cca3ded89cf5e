"""Lets new control planes into a cluster that is in use, one at a time, from fresh reads.

All of them are prepared and imaged first, and the running ones are as declared. Then, for each: an etcd
snapshot that was read back, a guard that every member is well and none is a learner, the reboot, and the wait
for it to be a voter and for the cluster to be stable. The steps themselves are the engine's. A cluster that
was never verified holds nothing yet, and grows without this.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

from controller.app.cluster_windows import refuse_closed, refuse_frozen
from controller.app.context import Limits, NodeJob
from controller.app.disruption import alone
from controller.app.etcd_reading import LIVE, read_etcd
from controller.app.services import Services
from controller.app.snapshots import fresh
from controller.app.steps.base import Patience
from controller.app.steps.reboot import Reboot
from controller.app.stored import stored_jobs
from controller.core.quorum import refuse_join
from inventory.errors import CheckFailed, OperatorError, RefusedError
from inventory.lifecycle import NodeState, remaining

STABLE_SECONDS = 120.0  # between two changes of the membership
_WELL_SECONDS = 300.0  # for the members to be well
_ASIDE = (NodeState.BOOTING, *LIVE)  # told to boot into the cluster: perhaps a member already
_AGAIN = "mend that first, then run cto apply again: what is prepared stays prepared"


def stable_seconds() -> float:
    """How long members must have been well before the next one. `CTO_STABLE_SECONDS` is for practising."""
    said = os.environ.get("CTO_STABLE_SECONDS", "")
    try:
        return max(0.0, float(said)) if said else STABLE_SECONDS
    except ValueError:
        what = f"CTO_STABLE_SECONDS={said!r} is no number"
        raise OperatorError(what, fix="give it seconds, or unset it") from None


@dataclass(slots=True)
class Growth:
    """Of one cluster in one run. `newcomers` in the order in which they are to join."""

    services: Services
    cluster: str
    newcomers: tuple[str, ...]
    absent: tuple[str, ...] = ()  # declared with them, but not in this run
    first: "asyncio.Future[None] | None" = None  # the running control planes are as declared
    _arrived: set[str] = field(default_factory=set)
    _failed: dict[str, str] = field(default_factory=dict)
    _passed: set[str] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)  # by an earlier run, which did not live to record it
    _admitted: str = ""
    _held: AsyncExitStack = field(default_factory=AsyncExitStack)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def begin(
        self,
        jobs: Sequence[NodeJob],
        tasks: Mapping[str, "asyncio.Future[None]"],
        failed: Mapping[str, object],
    ) -> None:
        """`tasks` of this run by node, `failed` as it fills up: the running ones are dealt with first."""
        running = [j.node.name for j in jobs if j.node.role != "worker" and j.growth is None]
        waited = [tasks[name] for name in running if name in tasks]
        self.first = asyncio.ensure_future(running_as_declared(running, waited, failed))
        # Perhaps nobody comes so far as to ask; what failed is in `failed` anyway.
        self.first.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def turn(self, job: NodeJob) -> None:
        """Returns when this machine may boot into the cluster, or go on doing so. Raises if it must not."""
        name = job.node.name
        if self.absent:
            raise RefusedError(
                f"{', '.join(self.absent)} is to join as well, and a cluster is not left half-way",
                where=name,
                fix="let the run include every new control plane, or take the others out of the site file",
            )
        if await _left(job):
            self._gone.add(name)
        waits = job.state is NodeState.BOOT_SET and name not in self._gone
        if waits and self.first is not None:
            await asyncio.shield(self.first)
        self._arrived.add(name)
        await self._tell()
        async with self._changed:
            await self._changed.wait_for(lambda: self._may_go(name, waits=waits) or self._hopeless(name))
        if reason := self._hopeless(name):
            raise RefusedError(reason, where=name, fix=_AGAIN)
        if waits:
            await self._guarded(job)

    async def passed(self, name: str) -> None:
        """Its node is verified; Talos promotes the learner by itself, which is waited for."""

        async def voter() -> bool | str:
            seen = await read_etcd(self.services, self._planes())
            found = next((m for m in seen.members if m.hostname == name), None)
            if found is None:
                return "etcd does not list it"
            return "etcd has not promoted it yet" if found.is_learner else True

        await Patience(self.services.clock, _WELL_SECONDS).until(voter, where=name, fix=_AGAIN)
        self.services.store.event("MemberPromoted", f"node/{name}", "it is a voting member of etcd", {})
        await self._held.aclose()
        self._passed.add(name)
        await self._tell()

    async def failed(self, name: str, reason: str) -> None:
        """Also of one that waited for its turn in vain: then somebody else may have it."""
        if self._admitted in ("", name):
            await self._held.aclose()
        self._failed[name] = reason
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _may_go(self, name: str, *, waits: bool) -> bool:
        """It is its turn: those that were told to boot by an earlier run first, then by their order. `waits`:
        it has not left the bootstrap environment, and does so once the others are ready to.
        """
        ahead = [one for one in self._order() if one not in self._passed]
        ready = self._arrived | self._passed >= set(self.newcomers)
        return bool(ahead) and ahead[0] == name and (ready or not waits)

    def _order(self) -> list[str]:
        states = {name: self.services.store.node(name) for name in self.newcomers}
        aside = [n for n in self.newcomers if (row := states[n]) is not None and row.state in _ASIDE]
        begun = aside + [n for n in self.newcomers if n in self._gone and n not in aside]
        return begun + [name for name in self.newcomers if name not in begun]

    def _hopeless(self, name: str) -> str:
        """Why this one will not get its turn in this run."""
        others = [other for other in self._failed if other != name]
        if not others:
            return ""
        told = f"{others[0]} did not come through ({self._failed[others[0]]})"
        return f"{told}, and the next control plane joins only after it"

    async def _guarded(self, job: NodeJob) -> None:
        """Snapshot, stability, and the guard: the last thing before the machine boots."""
        name = self._admitted = job.node.name
        self._may_begin(name)
        await self._held.enter_async_context(alone(self.services, self.cluster))
        await fresh(self.services, self.cluster, f"before {name} joins")
        patience = Patience(self.services.clock, _WELL_SECONDS + stable_seconds())
        waits = f"it joins once every member is well and nothing has changed for {stable_seconds():g} s"
        self.services.store.event("MemberWaits", f"node/{name}", waits, {})

        async def may() -> bool | str:
            return await self._why_not(name) or True

        await patience.until(may, where=name, fix=_AGAIN)
        self.services.store.event(
            "MemberAdmitted", f"node/{name}", "every etcd member is well: it may join now", {}
        )

    async def still(self, name: str) -> None:
        """Asked again right before the order to reboot: what was well a moment ago must be so now."""
        self._may_begin(name)
        reason = refuse_join(name, (await read_etcd(self.services, self._planes())).reading(self.services))
        if reason:
            raise RefusedError(reason, where=name, fix=_AGAIN)

    def _may_begin(self, name: str) -> None:
        """All that are left have to fit into the window: an even number of members is no place to stop."""
        if len(self._planes()) % 2 == 0:
            refuse_frozen(self.services, self.cluster, where=name)
            return
        each = sum(t.seconds for t in remaining(NodeState.BOOT_SET)) + stable_seconds()
        left = sum(one not in self._passed for one in self.newcomers)
        refuse_closed(self.services, self.cluster, each * left, where=name)

    async def _why_not(self, name: str) -> str:
        planes = self._planes()
        since = [datetime.fromisoformat(job.row.changed_at) for job in planes]
        seen = await read_etcd(self.services, planes)
        reason = refuse_join(name, seen.reading(self.services))
        if reason:
            return reason
        age = (self.services.clock.now() - max(since)).total_seconds() if since else 0.0
        wait = stable_seconds() - age
        return f"the cluster changed {age:.0f} s ago; {stable_seconds():.0f} s are waited" if wait > 0 else ""

    def _planes(self) -> Sequence[NodeJob]:
        """Every control plane that is, or may be, a member: also one that no site file names any more."""
        row = self.services.store.cluster(self.cluster)
        if row is None:
            raise CheckFailed("it is not in the store", where=self.cluster, fix="run cto apply again")
        jobs = stored_jobs(self.services, row, Limits.default())
        return [job for job in jobs if job.node.role != "worker" and job.state in _ASIDE]


async def _left(job: NodeJob) -> bool:
    """Has it left the bootstrap environment, told to by a run that died before it could say so? Then it may
    be a member already, and is the last to be kept waiting until every member is known.
    """
    if job.state is not NodeState.BOOT_SET:
        return False
    told = [s for s in job.services.store.steps(f"node/{job.node.name}") if s.ref.step == "reboot"]
    return bool(told) and told[-1].outcome != "done" and await Reboot().observe(job) is not None


def growth_of(
    services: Services, cluster: str, jobs: Sequence[NodeJob], working: Sequence[str]
) -> Growth | None:
    """For the new control planes of a cluster that was verified once; None if nothing is to be guarded.

    `working`: nodes that this run does something to.
    """
    row = services.store.cluster(cluster)
    if row is None or not row.in_use:
        return None
    new = [j for j in jobs if j.node.role != "worker" and j.state not in (NodeState.READY, NodeState.RESET)]
    newcomers = tuple(j.node.name for j in new if j.node.name in working)
    absent = tuple(j.node.name for j in new if j.node.name not in working and j.state not in _ASIDE)
    if not newcomers:
        return None
    made = Growth(services, cluster, newcomers, absent)
    for job in new:
        job.growth = made
    return made


async def running_as_declared(
    names: Sequence[str], tasks: Sequence["asyncio.Future[None]"], failed: Mapping[str, object]
) -> None:
    """Until the running control planes were dealt with; raises if one of them is not as it should be."""
    await asyncio.gather(*tasks, return_exceptions=True)
    bad = [name for name in names if f"node/{name}" in failed]
    if bad:
        raise RefusedError(
            f"{', '.join(bad)} is not as declared, and others join only after that", fix=_AGAIN
        )
