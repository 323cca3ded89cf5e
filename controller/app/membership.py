"""What a plan says of a cluster in use whose control planes change: the path, and what each state bears."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from controller.app.cluster_windows import closed
from controller.app.endpoint import endpoint_in_use
from controller.app.services import Services
from controller.core.membership import explained, growing
from controller.core.plan import NodePlan
from inventory.fleet import Cluster
from inventory.lifecycle import NodeState

_SECONDS = 60.0  # a plan looks whether it is open now; what fits is asked when it is done
_MEMBERS = (NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED, NodeState.READY)


def path_of(services: Services, cluster: Cluster, members: Sequence[NodePlan]) -> tuple[str, ...]:
    """In the order in which it is walked; empty if the membership stays as it is."""
    row = services.store.cluster(cluster.name)
    if row is None or not row.in_use:
        return ()
    stored = services.store.nodes(cluster=cluster.name)
    present = [each.name for each in stored if each.role != "worker" and each.state in _MEMBERS]
    new = [n.name for n in members if n.role != "worker" and n.steps and n.name not in present]
    left = [name for name in present if name not in cluster.nodes]
    lines = list(endpoint_path(services, cluster))
    if new:
        lines.append(f"first {', '.join(new)} are prepared and imaged, up to the reboot" if new[1:] else "")
        lines += explained(growing(len(present), new))
    lines += [f"{name} stays a member until you run: cto node remove {name}" for name in left]
    changes = any(n.steps and n.name in present for n in members)
    held = closed(services, cluster.name, _SECONDS) if lines or changes else None
    if held is not None:
        lines.append(f"not now, but for preparing what is new: {held.why}; {held.fix}")
    return tuple(filter(None, lines))


def endpoint_path(services: Services, cluster: Cluster) -> tuple[str, ...]:
    """How the endpoint moves, if it does."""
    before = endpoint_in_use(services, cluster.name)
    if not before or before == cluster.endpoint:
        return ()
    old = urlsplit(before).hostname or before
    text = (
        f"the endpoint moves from {before} to {cluster.endpoint}: certificates for both first, then a look"
        f" that the new one answers, then the nodes and the kubeconfig; {old} stays in the certificates"
    )
    return (text,)
