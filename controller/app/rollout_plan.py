"""Makes a rollout from site files, the store and a fresh read of every cluster. Begins nothing.

Policy and windows are those of the site files; versions are what the nodes say they run, not what is stored.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from controller.app import rollout_releases
from controller.app.context import Limits
from controller.app.rollout_view import document, target
from controller.app.services import Services
from controller.app.upgrade.looks import look_at_cluster
from controller.app.upgrade.reach import Reach
from controller.app.windows import declare_calendars, site_calendars
from controller.core.rollout import policy as policies
from controller.core.rollout.codec import dump_cluster, dump_head
from controller.core.rollout.messages import ClusterSeen
from controller.core.rollout.model import Policy, RolloutState, Status, Target
from controller.core.rollout.planning import Cluster, Node, Planned, Releases, create
from controller.core.rollout.rollback import rollback_of
from controller.store.rollouts import NewRollout
from controller.store.rollouts_read import RolloutRow
from inventory.calendar import UpdatePolicy
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Cluster as DeclaredCluster
from inventory.fleet import Fleet
from inventory.lifecycle import ClusterState
from inventory.resolve import Resolved
from inventory.selectors import Selection

_SCHEMATIC = re.compile(r"[0-9a-f]{64}")
_PATIENCE = 30.0  # seconds for each node: all clusters are read at once, and none is left out for being slow
_CANARY = "canary"  # label of a site whose clusters go first


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asks for. No target: the newest release of the policy's channel. `via`: versions that
    may be stops on the way.
    """

    target: Target
    via: tuple[str, ...] = ()
    policy: str = ""  # by name, where several apply


@dataclass(frozen=True, slots=True)
class Made:
    """A rollout that was not begun, and what it was made from."""

    planned: Planned
    clusters: tuple[Cluster, ...]
    releases: Releases
    policy: UpdatePolicy
    limits: Policy
    wanted: Wanted
    warnings: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    stops: Mapping[str, str] = field(default_factory=dict)  # "talos 1.12.7" → how it is known
    channel: str = ""  # from which the target was taken, where nobody named one

    @property
    def state(self) -> RolloutState:
        return self.planned.state


async def make(services: Services, resolved: Resolved, selection: Selection, wanted: Wanted) -> Made:
    """Reads every chosen cluster afresh. Raises RefusedError if nothing may be made of it, or if a release
    that it names was withdrawn.
    """
    _check(wanted)
    chosen = _chosen(resolved.fleet, selection)
    policy = _policy(resolved.policies, chosen, wanted.policy)
    limits = policies.of(policy)
    feed = rollout_releases.published(services, policy.channel)
    target, channel = rollout_releases.aimed(feed, wanted.target, wanted.via)
    wanted = replace(wanted, target=target)
    ready, left_out = _known(services, chosen)
    seen = await _looked_at(services, (each.name for each in ready), schematic=bool(target.schematic))
    members = _members(services, resolved, ready, seen, left_out)
    stops = rollout_releases.stops(feed, wanted.via, members)
    planned = create(
        services.new_id(),
        target,
        limits,
        members,
        releases=stops.releases,
        failures=services.store.rollout_failures(),
        lot=_lot(target),
    )
    left_out |= planned.left_out
    ill = (f"{name}: {why}" for name, why in _problems(seen, planned.state))
    warnings = (*rollout_releases.doubts(feed, target), *ill)
    used = stops.used(planned.state)
    return Made(planned, members, stops.releases, policy, limits, wanted, warnings, left_out, used, channel)


def _members(
    services: Services,
    resolved: Resolved,
    ready: Iterable[DeclaredCluster],
    seen: Mapping[str, ClusterSeen],
    left_out: dict[str, str],
) -> tuple[Cluster, ...]:
    """Those of which all is known that a plan needs; the others go to `left_out`."""
    busy = services.store.busy_sites()
    members: list[Cluster] = []
    for cluster in ready:
        reason = _unreadable(cluster, seen[cluster.name])
        if reason:
            left_out[cluster.name] = reason
            continue
        canary = resolved.fleet.sites[cluster.site].labels.get(_CANARY, "") == "true"
        nodes = _nodes(services, cluster, seen[cluster.name])
        members.append(Cluster(cluster.name, cluster.site, nodes, canary, busy.get(cluster.site, "")))
    return tuple(members)


def _lot(target: Target) -> str:
    """Made from the target: `plan` and the `start` after it show one order, other targets another."""
    return f"{target.talos} {target.kubernetes} {target.schematic}"


def keep(services: Services, resolved: Resolved, made: Made, *, actor: str, reason: str) -> str:
    """Stores it with the calendar that it goes by; from here on an engine may begin it. Returns its id."""
    state = made.state
    if not state.clusters:
        raise RefusedError("no cluster takes part in it", fix="cto rollout plan tells why of each")
    rollout_releases.check_again(services, made.policy.channel, state)
    calendars = site_calendars(resolved.fleet, resolved.windows, resolved.blackouts)
    sites = {cluster.site for cluster in state.clusters.values()}
    declare_calendars(services, (each for each in calendars if each.site in sites), actor=actor)
    facts = {
        "target": dict(target(state)),
        "policy": made.policy.name,
        "channel": made.policy.channel,
        "reserve": made.policy.reserve_minutes * 60,
        "left_out": dict(made.left_out),
    }
    _store(services, state, facts, actor=actor, reason=reason)
    return state.rollout


async def keep_rollback(
    services: Services, row: RolloutRow, state: RolloutState, *, actor: str, reason: str
) -> str:
    """A new rollout that takes back what `state` committed, as far as nodes still run that: Talos' Rollback
    goes to the other boot slot, whatever is in it. Returns the new rollout's id.
    """
    if not row.over:
        raise RefusedError(
            f"rollout {row.id} is still {row.status}",
            fix=f"cto rollout abort {row.id} --reason …: what is under way is finished, then roll it back",
        )
    seen = await _looked_at(services, state.clusters)
    back = rollback_of(state, services.new_id(), seen)
    busy = services.store.busy_sites()
    for cluster in back.clusters.values():
        if cluster.site in busy:
            raise RefusedError(f"rollout {busy[cluster.site]} is under way at site {cluster.site}")
    facts = {"target": dict(target(back)), "reserve": row.facts.get("reserve", 0), "left_out": {}}
    _store(services, back, facts, actor=actor, reason=reason)
    return back.rollout


def _store(
    services: Services, state: RolloutState, facts: Mapping[str, object], *, actor: str, reason: str
) -> None:
    services.store.create_rollout(
        NewRollout(
            id=state.rollout,
            actor=actor,
            reason=reason,
            status=str(Status.RUNNING),
            head=dump_head(replace(state, started_by=actor)),
            summary=document(state),
            clusters=tuple((c.name, c.site, dump_cluster(c)) for c in state.clusters.values()),
            facts=facts,
            rollback_of=state.rollback_of,
        )
    )


def _check(wanted: Wanted) -> None:
    aims = wanted.target
    if aims.schematic and not _SCHEMATIC.fullmatch(aims.schematic):
        what = f"{aims.schematic[:80]!r} is no schematic"
        raise OperatorError(what, fix="write the id that the image factory gives: 64 hex digits")
    for version in (*wanted.via, *(v for v in (aims.talos, aims.kubernetes) if v)):
        parts = version.partition("-")[0].split(".")
        if len(parts) != 3 or parts[0] != "1" or not all(part.isdigit() for part in parts):
            raise OperatorError(f"{version!r} is not a version", fix="write it in full, such as 1.13.9")


def _chosen(fleet: Fleet, selection: Selection) -> tuple[DeclaredCluster, ...]:
    """Whole clusters: a rollout counts in them."""
    if selection.nodes:
        raise OperatorError("a rollout takes whole clusters", fix="choose with --site, --cluster or -l")
    names = {node.cluster for node in selection.pick(fleet)}
    return tuple(cluster for cluster in fleet.clusters.values() if cluster.name in names)


def _policy(found: Iterable[UpdatePolicy], chosen: Iterable[DeclaredCluster], named: str) -> UpdatePolicy:
    every, sites = tuple(found), {cluster.site for cluster in chosen}
    if named:
        fit = [each for each in every if each.name == named]
        if not fit:
            known = ", ".join(each.name for each in every) or "none"
            raise OperatorError(f"there is no update policy {named!r}", fix=f"the site files have: {known}")
    else:
        fit = [each for each in every if sites & set(each.sites)]
    if len(fit) != 1:
        names = ", ".join(each.name for each in fit)
        what = f"several update policies apply: {names}" if fit else "no update policy applies"
        fix = (
            "name one with --policy, or choose sites that share one"
            if fit
            else "write one: kind: UpdatePolicy (an empty spec gives the defaults)"
        )
        raise RefusedError(f"{what}, and without one there is no limit to failures", fix=fix)
    outside = sorted(sites - set(fit[0].sites))
    if outside:
        raise RefusedError(
            f"update policy {fit[0].name} is not for {', '.join(outside)}",
            fix="choose fewer sites with --site, or let the policy apply to them",
        )
    return fit[0]


def _known(
    services: Services, chosen: Iterable[DeclaredCluster]
) -> tuple[list[DeclaredCluster], dict[str, str]]:
    ready: list[DeclaredCluster] = []
    left_out: dict[str, str] = {}
    for cluster in chosen:
        row = services.store.cluster(cluster.name)
        if row is None or row.state is not ClusterState.READY:
            left_out[cluster.name] = f"it is {row.state if row else 'not known'}, not ready: cto apply first"
        else:
            ready.append(cluster)
    return ready, left_out


async def _looked_at(
    services: Services, names: Iterable[str], *, schematic: bool = False
) -> dict[str, ClusterSeen]:
    limits = Limits.default()

    async def one(name: str) -> ClusterSeen:
        reach = Reach(services, name, limits, patience=_PATIENCE)
        try:
            return await look_at_cluster(reach, "", schematic=schematic)
        finally:
            await reach.close()

    names = tuple(names)
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def _unreadable(cluster: DeclaredCluster, seen: ClusterSeen) -> str:
    """Why nothing can be planned for it: a version that nobody told is no version."""
    views = {view.name: view for view in seen.nodes}
    for name in cluster.nodes:
        view = views.get(name)
        if view is None or not view.reachable or not view.talos:
            return f"{name} does not tell its version: {view.problem if view else 'it is not known'}"
        if not view.kubelet:
            return f"{name} does not tell its Kubernetes version: {seen.problem or 'it is no node of it'}"
    return ""


def _nodes(services: Services, cluster: DeclaredCluster, seen: ClusterSeen) -> tuple[Node, ...]:
    views = {view.name: view for view in seen.nodes}
    rows = {row.name: row for row in services.store.nodes(cluster=cluster.name)}
    return tuple(
        Node(
            name,
            rows[name].role != "worker",
            views[name].talos,
            views[name].kubelet,
            views[name].schematic,
        )
        for name in cluster.nodes
        if name in rows
    )


def _problems(seen: Mapping[str, ClusterSeen], state: RolloutState) -> Iterable[tuple[str, str]]:
    """What is not well now in clusters that take part: they would wait."""
    for name, read in seen.items():
        if name not in state.clusters:
            continue
        ill = [f"{view.name}: {view.problem}" for view in read.nodes if not (view.ready and view.healthy)]
        if ill or not read.system_ready or read.problem:
            yield name, ill[0] if ill else read.problem or "pods of kube-system are not ready"
