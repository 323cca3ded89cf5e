"""A rollout that takes another one back, over its last hop, as far as nodes still run what it brought. Pure.

Talos' Rollback goes to the other boot slot, whatever is in it: a node that went back already would go forward
again. So what counts is what nodes were just seen to run, and not what the rollout remembers.
"""

from collections.abc import Mapping
from dataclasses import replace

from controller.core.rollout.messages import ClusterSeen
from controller.core.rollout.model import (
    ClusterJob,
    Hop,
    HopKind,
    NodeJob,
    Phase,
    RolloutState,
    Stage,
    Target,
    Wave,
)
from inventory.errors import RefusedError
from inventory.versions import minor


def rollback_of(
    state: RolloutState, rollout: str, seen: Mapping[str, ClusterSeen], *, seed: str = ""
) -> RolloutState:
    """A new rollout that takes what `state` committed back by one hop: a canary, then all in parallel.
    `seen`: every cluster of it, read just now.

    A node holds exactly one older system in its other slot, so what went through several hops goes back
    over the last one.
    """
    jobs: dict[str, ClusterJob] = {}
    for cluster in state.clusters.values():
        back = _back(_as_it_is(cluster, seen[cluster.name]))
        if back is not None:
            jobs[cluster.name] = back
    if not jobs:
        raise RefusedError("no node runs what it brought, so nothing can go back", fix="cto rollout status")
    names = [name for wave in state.waves for name in wave.clusters if name in jobs]
    waves = [tuple(names[:1]), tuple(names[1:])] if len(names) > 1 else [tuple(names)]
    numbered = {name: replace(jobs[name], wave=i) for i, wave in enumerate(waves) for name in wave}
    hop = next(iter(numbered.values())).hops[0]
    return RolloutState(
        rollout=rollout,
        target=Target(talos=hop.version) if hop.kind is HopKind.BACK else Target(kubernetes=hop.version),
        policy=replace(
            state.policy,
            waves_percent=(1, 100),
            bake_seconds=(min(300, state.policy.bake_seconds[0]), 0),
            approval="none",
            max_parallel=10_000,
        ),
        waves=tuple(Wave(wave) for wave in waves),
        clusters=numbered,
        seed=seed or rollout,
        remedy=True,
        rollback_of=state.rollout,
        failures=dict(state.failures),
    )


def _back(cluster: ClusterJob) -> ClusterJob | None:
    hop = cluster.hops[cluster.hop]
    committed = [
        n for n in cluster.nodes.values() if n.stage is Stage.COMMITTED and not n.reason and _runs(hop, n)
    ]
    if cluster.phase is Phase.PENDING or not committed:
        return None
    if hop.kind in (HopKind.TALOS, HopKind.TALOS_LEGACY):
        if hop.version == hop.source:
            raise RefusedError(
                f"the version did not change, {hop.version}: Rollback could not be told from doing nothing",
                where=cluster.name,
                fix="start a rollout with the schematic that it had before",
            )
        hops: tuple[Hop, ...] = (Hop(HopKind.BACK, hop.version, hop.source),)
    elif hop.kind in (HopKind.KUBELET, HopKind.CONTROL_PLANE):
        if minor(hop.version) != minor(hop.source):
            raise RefusedError(
                f"Kubernetes does not go back from {hop.version} to {hop.source}",
                where=cluster.name,
                fix="restore the etcd snapshot that was taken before it, or go on",
            )
        hops = (
            Hop(HopKind.KUBELET, hop.version, hop.source),
            Hop(HopKind.CONTROL_PLANE, hop.version, hop.source),
        )
    else:
        return None  # a rollback is not rolled back
    going = {n.name for n in committed}
    nodes = {
        n.name: NodeJob(n.name, n.control_plane, n.talos, n.kubernetes, n.schematic, skip=n.name not in going)
        for n in cluster.nodes.values()
    }
    return ClusterJob(cluster.name, cluster.site, cluster.wave, hops, nodes)


def _runs(hop: Hop, job: NodeJob) -> bool:
    """Whether it still runs what the hop brought; what nobody can see of an API server is taken as told."""
    if hop.kind is HopKind.CONTROL_PLANE:
        return True
    return hop.version == (job.kubernetes if hop.kind is HopKind.KUBELET else job.talos)


def _as_it_is(cluster: ClusterJob, seen: ClusterSeen) -> ClusterJob:
    """With the versions that nodes were just seen to run; who does not answer is left out of a rollback."""
    views = {view.name: view for view in seen.nodes}
    nodes = {
        job.name: replace(
            job,
            talos=views[job.name].talos or job.talos,
            kubernetes=views[job.name].kubelet or job.kubernetes,
            reason=job.reason if views[job.name].reachable else "it does not answer",
        )
        for job in cluster.nodes.values()
        if job.name in views
    }
    return replace(cluster, nodes=nodes)
