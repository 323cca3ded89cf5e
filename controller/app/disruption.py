"""One disruption of a cluster at a time, whoever orders it: no rollout at its site, and the cluster's lease.

The lease is an object in the cluster, for controllers that know nothing of each other. Where no API server
can be asked it is not waited for: the guards then have the last word.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.app.context import Limits
from controller.app.services import Services
from controller.app.upgrade.lease import Disruption
from controller.app.upgrade.reach import NotSent, Reach
from inventory.errors import RefusedError

_SECONDS = 600.0  # for one change of the membership; it is given back earlier


def refuse_during_rollout(services: Services, cluster: str) -> None:
    """Both would count the same members as those that may be missing."""
    row = services.store.cluster(cluster)
    rollout = services.store.busy_sites().get(row.site, "") if row is not None else ""
    if rollout:
        raise RefusedError(
            f"rollout {rollout} is under way at its site",
            where=cluster,
            fix=f"let it finish, or end it first: cto rollout abort {rollout}",
        )


@asynccontextmanager
async def alone(services: Services, cluster: str) -> AsyncIterator[None]:
    """Holds the cluster's lease meanwhile; one that an engine of ours left behind is ours."""
    refuse_during_rollout(services, cluster)
    reach = Reach(services, cluster, Limits.default())
    lease = Disruption(reach, f"cto/{services.store.controller_id()}/membership")
    try:
        await lease.hold(_SECONDS)
    except NotSent as error:
        fix = "wait until it is given back: kubectl -n kube-system get lease"
        raise RefusedError(error.what, where=cluster, fix=fix) from error
    try:
        yield
    finally:
        await lease.release()
        await reach.close()
