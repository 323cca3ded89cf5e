"""Re-reads the nodes that are ready, over and over, so that the page tells what is true now. Repairs nothing.

Only `cto serve` watches; a single command reads what it needs and ends.
"""

import asyncio

from controller.app.context import ClusterGate, Limits, NodeJob
from controller.app.run import minting
from controller.app.services import Services
from controller.app.steps.verify import Verify
from controller.store import NodeRow
from inventory.errors import FleetError
from inventory.fleet import Cluster, Fleet, Node, Role
from inventory.lifecycle import NodeState

EVERY = 60.0  # seconds; what is older than ten minutes is shown as old
_NOWHERE = Fleet("", {}, {}, {})


async def watch(services: Services, *, every: float = EVERY) -> None:
    """For ever. A node that does not answer is a problem on that node, not an end of the watch."""
    limits = Limits.default()
    while True:
        ready = [row for row in services.store.nodes() if row.state is NodeState.READY]
        await asyncio.gather(*(_look(services, row, limits) for row in ready))
        await services.clock.sleep(every)


async def _look(services: Services, row: NodeRow, limits: Limits) -> None:
    try:
        problem = await Verify.problem(_job(services, row, limits))
    except FleetError as error:
        problem = str(error)
    else:
        services.store.touch(row.name)
    now = services.store.node(row.name)
    if now is not None and now.state is row.state and problem != now.problem == row.problem:
        services.store.set_problem(f"node/{row.name}", problem)


def _job(services: Services, row: NodeRow, limits: Limits) -> NodeJob:
    """Enough of a job to read by: from what is stored, since the site files may be elsewhere."""
    role: Role = "controlplane" if row.role != "worker" else "worker"
    node = Node(row.name, row.site, row.cluster, role, address=row.address)
    cluster = Cluster(row.cluster, row.site, "", "", ())
    gate = ClusterGate(row.cluster)
    return NodeJob(services, "", _NOWHERE, node, cluster, gate, limits, minting(services, row.cluster))
