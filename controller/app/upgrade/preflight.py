"""What must hold before a cluster is begun, read afresh: `core.rollout.preconditions` judges it."""

import asyncio
from datetime import datetime

from controller.app.upgrade.drain import feasible
from controller.app.upgrade.reach import Reach
from controller.core.rollout.messages import Preflighted
from controller.core.rollout.model import HopKind, RolloutState
from controller.core.rollout.preconditions import Readiness, problems
from inventory.errors import FleetError

_IMAGE = 600 << 20  # bytes of an installer image with extensions, unpacked: more than any of today's


async def preflight(reach: Reach, state: RolloutState, name: str) -> Preflighted:
    """A licence is not asked for: an update takes no new place (`app.licensing`). Nor is a backup: a snapshot
    of etcd is the first act on a control plane. What is in a node's other boot slot can't be read; Rollback
    itself says so if nothing is.
    """
    cluster = state.clusters[name]
    at = reach.services.clock.now().timestamp()
    names = [job.name for job in cluster.nodes.values() if not job.skip]
    states = await asyncio.gather(*(_state(reach, name) for name in names))
    free = [state[0] for state in states]
    skews = [state[1] for state in states]
    other = reach.services.store.busy_sites().get(cluster.site, "")
    drains = not state.policy.force_drain and any(
        hop.kind is not HopKind.CONTROL_PLANE for hop in cluster.hops
    )
    ready = Readiness(
        free_bytes=None if None in free else min((f for f in free if f is not None), default=0),
        image_bytes=_IMAGE if any(hop.kind is HopKind.TALOS for hop in cluster.hops) else 0,
        skew_seconds=None if None in skews else max((abs(s) for s in skews if s is not None), default=0.0),
        certificate_seconds=_certificate(reach, at),
        other_rollout="" if other == state.rollout else other,
        drain_problem=await _drain_problem(reach, names) if drains else "",
        remedy=state.remedy,
    )
    return Preflighted(cluster.name, at, problems(ready))


async def _state(reach: Reach, name: str) -> tuple[int | None, float | None]:
    """(free bytes, seconds that its clock is off); None for what it does not say."""
    clock = reach.services.clock
    try:
        async with asyncio.timeout(2 * reach.patience), reach.reading(name) as node:
            before = clock.now().timestamp()
            theirs = await node.clock()
            skew = theirs - (before + clock.now().timestamp()) / 2
            return await node.free_bytes(), skew
    except (FleetError, TimeoutError):
        return None, None


def _certificate(reach: Reach, at: float) -> float:
    """Until the first of the cluster's certificates ends; those that nobody noted don't count."""
    ends = reach.services.store.expiries(reach.cluster).values()
    return min((datetime.fromisoformat(end).timestamp() - at for end in ends), default=1e9)


async def _drain_problem(reach: Reach, nodes: list[str]) -> str:
    try:
        return await feasible(reach, nodes)
    except FleetError as error:
        return error.what
