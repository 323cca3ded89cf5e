"""What `cto node reset` would destroy, said before it is asked. The reset itself is a step of the engine."""

from collections.abc import Sequence

from controller.app.services import Services
from inventory.errors import RefusedError
from inventory.fleet import Node
from inventory.lifecycle import NodeState, reset_path


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
