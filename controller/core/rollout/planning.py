"""Makes a rollout: who takes part, in which order, by which way. Decided once, never recomputed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.core.rollout.model import (
    ClusterJob,
    Hop,
    HopKind,
    NodeJob,
    Phase,
    Policy,
    RolloutState,
    Stage,
    Status,
    Target,
    Wave,
)
from controller.core.rollout.routes import QUARANTINE_AFTER
from controller.core.rollout.versions import key, path
from controller.core.rollout.waves import first_wave_limit, order, split
from inventory.errors import RefusedError
from inventory.versions import minor


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    control_plane: bool
    talos: str
    kubernetes: str = ""
    schematic: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster as it is when the rollout is made."""

    name: str
    site: str
    nodes: tuple[Node, ...]
    canary: bool = False
    busy_with: str = ""  # another rollout on its site


@dataclass(frozen=True, slots=True)
class Releases:
    """Versions that are known and may be stops on the way."""

    talos: tuple[str, ...] = ()
    kubernetes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """The rollout, not begun, and the clusters that do not take part, each with the reason."""

    state: RolloutState
    left_out: Mapping[str, str] = field(default_factory=dict)


def create(
    rollout: str,
    target: Target,
    policy: Policy,
    clusters: Sequence[Cluster],
    *,
    releases: Releases,
    failures: Mapping[str, int] | None = None,
    seed: str = "",
    lot: str = "",
    second_person: str = "",
) -> Planned:
    """Freezes members, order and waves. `failures`: how often a "node version" failed, from the store; `lot`: what
    the order of sites is drawn from (default: the rollout's id).
    """
    known = dict(failures or {})
    hops: dict[str, tuple[Hop, ...]] = {}
    left_out: dict[str, str] = {}
    for cluster in clusters:
        try:
            way = _way(cluster, target, releases)
        except RefusedError as error:
            left_out[cluster.name] = str(error)
            continue
        reason = _reason_to_leave(cluster, way, known, policy)
        if reason:
            left_out[cluster.name] = reason
        else:
            hops[cluster.name] = way
    members = {c.name: c for c in clusters if c.name in hops}
    waves = split(order(lot or rollout, members.values()), policy.waves_percent)
    _two_persons(waves, len(members), second_person)
    jobs = {
        name: _job(members[name], number, hops[name]) for number, wave in enumerate(waves) for name in wave
    }
    state = RolloutState(
        rollout=rollout,
        target=target,
        policy=policy,
        waves=tuple(Wave(names) for names in waves),
        clusters=jobs,
        seed=seed or rollout,
        failures=known,
        status=Status.RUNNING if waves else Status.SUCCEEDED,
    )
    return Planned(state, left_out)


def _way(cluster: Cluster, target: Target, releases: Releases) -> tuple[Hop, ...]:
    """From the oldest node on; those that are ahead need nothing of the first hops."""
    if not any(node.control_plane for node in cluster.nodes):
        raise RefusedError("it has no control plane", where=cluster.name, fix="see its site file")
    talos = min((n.talos for n in cluster.nodes), key=key)
    kubernetes = min((n.kubernetes for n in cluster.nodes if n.kubernetes), key=key, default="")
    if not kubernetes:
        raise RefusedError("its Kubernetes version is not known", where=cluster.name, fix="cto status")
    systems = {n.schematic for n in cluster.nodes}
    schematic = target.schematic if systems == {target.schematic} else ""
    return path(
        talos,
        kubernetes,
        target,
        talos_releases=releases.talos,
        kubernetes_releases=releases.kubernetes,
        schematic=schematic,
    )


def _reason_to_leave(
    cluster: Cluster, way: Sequence[Hop], failures: Mapping[str, int], policy: Policy
) -> str:
    if not way:
        return "it runs the target already"
    planes = sum(node.control_plane for node in cluster.nodes)
    if planes == 1 and not policy.accept_downtime:
        return "it has one control plane and would be away meanwhile: the policy does not accept downtime"
    if planes == 2:
        return "etcd of 2 members can't spare one: add a third control plane, or remove one"
    if cluster.busy_with:
        return f"rollout {cluster.busy_with} is under way at its site"
    for node in cluster.nodes:
        for hop in way:
            if failures.get(f"{node.name} {hop.version}", 0) >= QUARANTINE_AFTER:
                return f"{node.name} failed with {hop.version} twice and is quarantined for it"
    return ""


def _two_persons(waves: Sequence[Sequence[str]], clusters: int, second_person: str) -> None:
    if waves and len(waves[0]) > first_wave_limit(clusters) and not second_person:
        raise RefusedError(
            f"the first wave would have {len(waves[0])} of {clusters} clusters",
            fix=f"at most {first_wave_limit(clusters)}, or a second person who agrees",
        )


def _job(cluster: Cluster, wave: int, hops: tuple[Hop, ...]) -> ClusterJob:
    nodes = {
        n.name: NodeJob(n.name, n.control_plane, n.talos, n.kubernetes, n.schematic) for n in cluster.nodes
    }
    return ClusterJob(cluster.name, cluster.site, wave, hops, nodes)


def rollback_of(state: RolloutState, rollout: str, *, seed: str = "") -> RolloutState:
    """A new rollout that takes what `state` committed back by one hop: a canary, then all in parallel.

    A node holds exactly one older system in its other slot, so what went through several hops goes back
    over the last one.
    """
    jobs: dict[str, ClusterJob] = {}
    for cluster in state.clusters.values():
        back = _back(cluster)
        if back is not None:
            jobs[cluster.name] = back
    if not jobs:
        raise RefusedError("nothing of it was committed, so nothing can go back", fix="cto rollout status")
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
    committed = [n for n in cluster.nodes.values() if n.stage is Stage.COMMITTED and n.reason == ""]
    if cluster.phase is Phase.PENDING or not committed:
        return None
    if hop.kind in (HopKind.TALOS, HopKind.TALOS_LEGACY):
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
