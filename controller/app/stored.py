"""Jobs for asking and changing nodes that are known, from what is stored: the site files may be elsewhere, or
no longer name them. Renders no configuration: what a node should be only the site files say.
"""

from controller.app.context import ClusterGate, Limits, NodeJob
from controller.app.identity import minting
from controller.app.services import Services
from controller.store import ClusterRow, NodeRow
from inventory.fleet import Cluster, Fleet, Node, Role

_NOWHERE = Fleet("", {}, {}, {})


def stored_jobs(services: Services, row: ClusterRow, limits: Limits, *, run: str = "") -> tuple[NodeJob, ...]:
    """All nodes of a cluster that the store knows, whether a site file still declares them or not."""
    rows = services.store.nodes(cluster=row.name)
    cluster = Cluster(row.name, row.site, row.endpoint, row.kubernetes, tuple(each.name for each in rows))
    gate, identity = ClusterGate(row.name), minting(services, row.name)
    jobs = tuple(
        NodeJob(services, run, _NOWHERE, stored_node(each), cluster, gate, limits, identity) for each in rows
    )
    for job in jobs:
        job.peers = tuple(other for other in jobs if other is not job and other.node.role != "worker")
    return jobs


def stored_node(row: NodeRow) -> Node:
    role: Role = "controlplane" if row.role != "worker" else "worker"
    return Node(
        row.name,
        row.site,
        row.cluster,
        role,
        address=row.address,
        ssh_port=row.ssh_port,
        ssh_user=row.ssh_user,
        jump=row.jump,
        talos_address=str(row.record.get("talos_address", "")),
    )
