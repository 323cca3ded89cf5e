"""What `cto node reset` would destroy, said before it is asked. The reset itself is a step of the engine."""

from collections.abc import Collection, MutableMapping, Sequence
from typing import Any

from controller.app.context import ClusterJob, Limits
from controller.app.engine import describe, insist
from controller.app.services import Services
from controller.app.steps.registry import CLUSTER_ACTS
from controller.app.stored import stored_jobs
from controller.store import NodeRow
from inventory.errors import FleetError, RefusedError
from inventory.fleet import Cluster, Node
from inventory.lifecycle import ClusterState, NodeState, reset_path


def describe_reset(services: Services, nodes: Sequence[Node]) -> list[str]:
    """One line per node. Raises RefusedError if none of them has anything to give up, or if a cluster
    would lose its etcd quorum while other members stay.
    """
    lines, doomed = [], []
    for node in nodes:
        row = services.store.node(node.name)
        if row is None or not reset_path(NodeState(row.state)):
            lines.append(f"{node.name}: nothing (it is {row.state if row else 'not known'})")
            continue
        doomed.append(node)
        disk = row.record.get("disk", {})
        model, serial = disk.get("model") or "unknown model", disk.get("serial") or "unknown"
        what = f"{disk.get('path', 'its system disk')} ({model}, serial {serial})"
        lines.append(f"{node.name}: everything on {what}; {node.role} of cluster {node.cluster}")
    if not doomed:
        raise RefusedError("\n".join(lines), fix="there is nothing to reset; see cto node list")
    _keep_quorum(services, doomed)
    return lines


def _keep_quorum(services: Services, doomed: Sequence[Node]) -> None:
    """Either a whole cluster goes, or a quorum of its present members stays (etcd needs ⌊n/2⌋+1)."""
    names = {node.name for node in doomed}
    for cluster in dict.fromkeys(node.cluster for node in doomed):
        rows = [r for r in services.store.nodes(cluster=cluster) if reset_path(NodeState(r.state))]
        planes = [r for r in rows if r.role != "worker"]
        leaving = [r for r in planes if r.name in names]
        staying = len(planes) - len(leaving)
        whole = all(r.name in names for r in rows)
        if leaving and not whole and staying < len(planes) // 2 + 1:
            raise RefusedError(
                f"{len(leaving)} of {len(planes)} control planes would go, and etcd would lose its quorum",
                where=f"cluster/{cluster}",
                fix="reset fewer of them at a time, or the whole cluster with --cluster",
            )


def forget_empty(services: Services, cluster: Cluster) -> None:
    """A cluster without any member left is planned again, so that it can be bootstrapped anew."""
    rows: Sequence[NodeRow | None] = [services.store.node(name) for name in cluster.nodes]
    row = services.store.cluster(cluster.name)
    if row is None or row.state == ClusterState.PLANNED:
        return
    if all(r is None or r.state in (NodeState.RESET, NodeState.DECLARED, NodeState.PINNED) for r in rows):
        services.store.move_cluster(
            cluster.name, ClusterState.PLANNED, reason="all members were reset", actor="engine"
        )


async def forget_nodes(
    services: Services,
    run: str,
    cluster: str,
    names: Collection[str],
    failed: MutableMapping[str, dict[str, Any]],
) -> None:
    """Takes those that were reset out of Kubernetes, where the cluster goes on: Talos leaves their objects.
    What stands in the way is put into `failed`.
    """
    row = services.store.cluster(cluster)
    if row is None or row.state not in (ClusterState.ACCESSIBLE, ClusterState.READY):
        return
    jobs = stored_jobs(services, row, Limits.default(), run=run)
    if not any(job.state is NodeState.READY and job.node.role != "worker" for job in jobs):
        return
    step = "forget-node"
    for name in (job.node.name for job in jobs if job.node.name in names and job.state is NodeState.RESET):
        act = ClusterJob(services, run, jobs[0].cluster, jobs[0].gate, jobs, {"node": name, "dead": False})
        try:
            await insist(services, run, "cluster", cluster, step, CLUSTER_ACTS[step], act)
        except FleetError as error:
            failed[f"cluster/{cluster}"] = describe(error)
