"""`cto node replace OLD --with NEW`: one control plane takes the place of another in a cluster in use.

NEW is prepared and imaged first. Then a dead OLD is removed before NEW joins (it counts for the quorum and
gives nothing); a living one leaves after NEW is a voter (four members survive what two don't).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.app.apply import submit
from controller.app.context import Limits
from controller.app.desired import desire, ensure_bundles, ensure_manifests
from controller.app.disruption import refuse_during_rollout
from controller.app.engine import describe, drive_node, problem_text
from controller.app.etcd_reading import LIVE
from controller.app.plan import make_plan
from controller.app.removal import describe_removal, known, remove, unfinished
from controller.app.run import Outcome, Run, apply_cluster
from controller.app.services import Services
from controller.core.membership import explained, replacing
from controller.core.plan import Plan, Verdict
from inventory.errors import FleetError, OperatorError, RefusedError
from inventory.fleet import Cluster, Fleet
from inventory.lifecycle import NodeState, remaining
from inventory.resolve import load_files
from inventory.selectors import Selection

_BEHIND = (NodeState.BOOT_SET, NodeState.BOOTING, *LIVE)


@dataclass(frozen=True, slots=True)
class Replacement:
    plan: Plan  # for the new machine
    lines: tuple[str, ...]


async def describe_replacement(
    services: Services, texts: Mapping[str, str], old: str, new: str, *, dead: bool
) -> Replacement:
    """Asks the cluster and the new machine afresh. Raises RefusedError for what must not be done."""
    resolved = load_files(texts)
    cluster = _fitting(services, resolved.fleet, old, new)
    refuse_during_rollout(services, cluster)
    made = await make_plan(services, resolved, Selection.parse(nodes=[new]))
    refusals = [refusal for name, refusal in made.refusals if name == new]
    if refusals:
        raise RefusedError(refusals[0].reason, where=new, fix=refusals[0].fix)
    if dead:  # a living one leaves later, when there is one more: that is looked at then
        lost = (await describe_removal(services, old, dead=True)).lines[-1:]
    else:
        lost = (f"{old}: everything on its system disk is destroyed, once {new} is a voter",)
    stored = services.store.nodes(cluster=cluster)
    members = sum(row.role != "worker" and row.state in LIVE and row.name != new for row in stored)
    lines = [f"{new} is prepared and imaged, up to the reboot", "an etcd snapshot is taken"]
    # Its own plan is of the newcomer alone; the path is told here.
    made = replace(made, clusters=tuple(replace(c, path=()) for c in made.clusters), warnings=())
    return Replacement(made, (*lines, *explained(replacing(members, old, new, dead=dead)), *lost))


def _fitting(services: Services, fleet: Fleet, old: str, new: str) -> str:
    """The cluster of both."""
    row, cluster = known(services, old)
    node = fleet.nodes.get(new)
    if node is None:
        fix = f"declare {new} there in the place of {old}"
        raise OperatorError(f"the site files have no node {new!r}", where=cluster.name, fix=fix)
    if row.role == "worker" or node.role == "worker":
        fix = "declare a new worker and apply, then cto node remove the old one"
        raise RefusedError("only control planes are replaced", where=old, fix=fix)
    if node.cluster != cluster.name or old == new:
        what = f"{new} is of cluster {node.cluster}, {old} of {cluster.name}"
        raise RefusedError(what, where=old, fix="name two different nodes of one cluster")
    return cluster.name


def submit_replacement(
    services: Services, texts: Mapping[str, str], old: str, new: str, *, dead: bool, actor: str
) -> str:
    """Queues it; returns the id of the run."""
    options = {"old": old, "new": new, "dead": dead}
    picked = Selection.parse(nodes=[new])
    return submit(services, texts, picked, actor=actor, kind="replace", options=options)


async def execute_replacement(services: Services, run_id: str, body: Mapping[str, Any]) -> Verdict:
    """One queued run. Never raises for what a node did."""
    old, new, dead = str(body["old"]), str(body["new"]), bool(body["dead"])
    fleet = _without(load_files(body["texts"]).fleet, old)
    cluster, outcome = fleet.clusters[fleet.nodes[new].cluster], Outcome()
    await ensure_bundles(services, [cluster.name])
    await ensure_manifests(services, [cluster])

    run = Run(services, run_id, fleet, frozenset({new}), Limits.default(), outcome)
    try:
        if dead:
            await _image(run, cluster, new)
            await _remove(run, old, dead=True)
        await apply_cluster(run, cluster)
        if not dead and not outcome.failed:
            await _remove(run, old, dead=False)
    except FleetError as error:
        subject = f"node/{old if error.where == old else new}"
        outcome.failed[subject] = describe(error)
        services.store.set_problem(subject, problem_text(error, subject.removeprefix("node/")))
    return outcome.verdict()


async def _image(run: Run, cluster: Cluster, name: str) -> None:
    """Up to the reboot, so that the passing state with a member less lasts no longer than that."""
    job = next(job for job in run.jobs(cluster) if job.node.name == name)
    ahead = remaining(job.state, until=NodeState.BOOT_SET) if job.state not in _BEHIND else ()
    if ahead and job.state is not NodeState.PINNED:
        job.desired = desire(run.services, run.fleet, job.node)
        if job.desired.rendered is None:
            first = job.desired.refusals[0]
            raise RefusedError(first.reason, where=name, fix=first.fix)
    await drive_node(job, ahead)


async def _remove(run: Run, old: str, *, dead: bool) -> None:
    """Also of one that was wiped by a run that died before Kubernetes forgot it."""
    row = run.services.store.node(old)
    if row is not None and (row.state is not NodeState.RESET or unfinished(run.services, row)):
        await remove(run.services, run.id, old, dead=dead)
        run.outcome.done.append(f"node/{old}")


def _without(fleet: Fleet, name: str) -> Fleet:
    """As if the site files had dropped it already."""
    if name not in fleet.nodes:
        return fleet
    nodes = {key: node for key, node in fleet.nodes.items() if key != name}
    cluster = fleet.clusters[fleet.nodes[name].cluster]
    members: Sequence[str] = tuple(each for each in cluster.nodes if each != name)
    clusters = {**fleet.clusters, cluster.name: replace(cluster, nodes=tuple(members))}
    return replace(fleet, nodes=nodes, clusters=clusters)
