"""The start of a hop: which nodes of a cluster take part in it. Pure."""

from controller.core.rollout.evolve import replace
from controller.core.rollout.model import ClusterJob, Hop, HopKind, NodeJob, Stage
from controller.core.rollout.stops import newer


def enter_hop(cluster: ClusterJob) -> ClusterJob:
    """All nodes at the start of the hop; those that need nothing of it are through already."""
    hop = cluster.hops[cluster.hop]
    return replace(cluster, nodes={name: _fresh_job(hop, job) for name, job in cluster.nodes.items()})


def _fresh_job(hop: Hop, job: NodeJob) -> NodeJob:
    source = hop.source
    if hop.kind in (HopKind.TALOS, HopKind.TALOS_LEGACY, HopKind.BACK):
        source = job.talos
        there = job.talos == hop.version and hop.schematic in ("", job.schematic)
        ahead = hop.kind is not HopKind.BACK and newer(job.talos, hop.version)
        needless = there or ahead
    elif hop.kind is HopKind.KUBELET:
        source = job.kubernetes
        needless = job.kubernetes == hop.version
    else:
        needless = not job.control_plane
    return NodeJob(
        name=job.name,
        control_plane=job.control_plane,
        talos=job.talos,
        kubernetes=job.kubernetes,
        schematic=job.schematic,
        source=source,
        skip=job.skip,
        stage=Stage.COMMITTED if needless or job.skip else Stage.PLANNED,
        reason="needed nothing" if needless or job.skip else "",
    )
