"""Makes a rollout: who takes part, in which order, by which way. Decided once, never recomputed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.core.rollout.model import (
    ClusterJob,
    Hop,
    NodeJob,
    Policy,
    RolloutState,
    Status,
    Target,
    Wave,
)
from controller.core.rollout.routes import QUARANTINE_AFTER
from controller.core.rollout.stops import Origins, key
from controller.core.rollout.versions import path
from controller.core.rollout.waves import first_wave_limit, order, split
from inventory.errors import RefusedError


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
    """Versions that are known and may be stops on the way, and from where their publisher lets one step lead
    to them.
    """

    talos: tuple[str, ...] = ()
    kubernetes: tuple[str, ...] = ()
    talos_from: Origins = field(default_factory=dict)
    kubernetes_from: Origins = field(default_factory=dict)


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
) -> Planned:
    """Freezes members, order and waves. `failures`: how often a "node version" failed, from the store; `lot`:
    what the order of sites is drawn from (default: the rollout's id).
    """
    known = dict(failures or {})
    hops, left_out = _ways(clusters, lambda cluster: _way(cluster, target, releases), known, policy)
    members = {c.name: c for c in clusters if c.name in hops}
    waves = split(
        order(lot or rollout, members.values()),
        policy.waves_percent,
        counts=policy.wave_counts,
        together={name: cluster.site for name, cluster in members.items()} if policy.waves_by_site else {},
    )
    limit = first_wave_limit(len(members))
    jobs = {
        name: _job(members[name], number, hops[name]) for number, wave in enumerate(waves) for name in wave
    }
    state = RolloutState(
        rollout=rollout,
        target=target,
        policy=policy,
        waves=tuple(Wave(names, gated=not i and len(names) > limit) for i, names in enumerate(waves)),
        clusters=jobs,
        seed=seed or rollout,
        failures=known,
        status=Status.RUNNING if waves else Status.SUCCEEDED,
    )
    return Planned(state, left_out)


def _ways(
    clusters: Sequence[Cluster],
    way_of: Callable[[Cluster], tuple[Hop, ...]],
    failures: Mapping[str, int],
    policy: Policy,
) -> tuple[dict[str, tuple[Hop, ...]], dict[str, str]]:
    """The way of each that takes part, and why the others don't."""
    hops: dict[str, tuple[Hop, ...]] = {}
    left_out: dict[str, str] = {}
    for cluster in clusters:
        try:
            way = way_of(cluster)
        except RefusedError as error:
            left_out[cluster.name] = str(error)
            continue
        reason = _reason_to_leave(cluster, way, failures, policy)
        if reason:
            left_out[cluster.name] = reason
        else:
            hops[cluster.name] = way
    return hops, left_out


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
        talos_from=releases.talos_from,
        kubernetes_from=releases.kubernetes_from,
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


def _job(cluster: Cluster, wave: int, hops: tuple[Hop, ...]) -> ClusterJob:
    nodes = {
        n.name: NodeJob(n.name, n.control_plane, n.talos, n.kubernetes, n.schematic) for n in cluster.nodes
    }
    return ClusterJob(cluster.name, cluster.site, wave, hops, nodes)
