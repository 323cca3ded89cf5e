"""`cto plan`: asks the machines that can be asked, then lets `core.plan` decide. Changes no machine.

It writes three things to the store: what the files declare, fresh facts, and a cluster's secrets at its
first plan (ADR 6).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from controller.app.access import renew_access
from controller.app.context import ClusterGate, Limits, NodeJob, target_of
from controller.app.desired import Desired, desire, ensure_bundles
from controller.app.gather import gather
from controller.app.identity import minting
from controller.app.observe import observe
from controller.app.services import Services
from controller.core.plan import (
    Change,
    ClusterPlan,
    NodeInputs,
    NodePlan,
    Plan,
    Refusal,
    assemble,
    plan_cluster,
    plan_node,
)
from controller.store import NodeRow
from facts.registry import machine_facts
from inventory.errors import FleetError
from inventory.fleet import Cluster, Fleet, Node
from inventory.lifecycle import ClusterState, NodeState
from inventory.resolve import Resolved
from inventory.selectors import Selection
from roles.redaction import diff

ACTOR = "plan"
_NOT_OURS = "adopted: its configuration was not delivered by us, and is left as it is"
_NEW = (NodeState.PINNED, NodeState.INSPECTED)


async def make_plan(services: Services, resolved: Resolved, selection: Selection) -> Plan:
    """The plan for the selected nodes and their clusters."""
    fleet = resolved.fleet
    declared = services.store.declare(fleet, actor=ACTOR)
    if services.store.observe_only():  # after a restore: plan for what the nodes are now
        await observe(services, fleet.nodes, ())
    picked = selection.pick(fleet)
    await ensure_bundles(services, (n.cluster for n in picked))
    for name in dict.fromkeys(n.cluster for n in picked):
        renew_access(services, name)
    unreachable = await _refresh(services, picked)
    nodes = await asyncio.gather(*(_plan_one(services, fleet, n, unreachable.get(n.name)) for n in picked))
    clusters = _clusters(services, fleet, nodes)
    warnings = [str(w) for w in resolved.warnings]
    warnings += [f"{name}: no longer in the site files; nothing is done to it" for name in declared.missing]
    warnings += [
        f"{name}: the file pins another host key than the one trusted; the trusted one is kept"
        for name in declared.conflicts
    ]
    left = [f"{n.name}: {_NOT_OURS}" for n in nodes if _NOT_OURS in n.notes]
    warnings += left
    final = _without_control_plane(nodes, clusters)
    moving = {n.cluster for n in final if n.change is not Change.REFUSED}
    clusters = [c if c.name in moving else replace(c, steps=()) for c in clusters]
    return assemble(final, clusters, warnings=warnings)


async def _refresh(services: Services, nodes: Sequence[Node]) -> dict[str, FleetError]:
    """Fresh facts of the machines that still run the bootstrap environment, one round trip each."""
    rows = [r for r in (services.store.node(n.name) for n in nodes) if r and r.host_key and r.state in _NEW]
    failed: dict[str, FleetError] = {}
    async for answer in gather(
        services.ssh, [target_of(r) for r in rows], machine_facts(), clock=services.clock
    ):
        if answer.facts is None:
            failed[answer.target.name] = answer.error or FleetError("no answer")
            continue
        services.store.save_facts(answer.target.name, answer.facts.to_dict(), answer.facts.digest())
        services.store.touch(answer.target.name)
    return failed


async def _plan_one(services: Services, fleet: Fleet, node: Node, error: FleetError | None) -> NodePlan:
    row = services.store.node(node.name)
    state = NodeState(row.state) if row else NodeState.DECLARED
    inputs = NodeInputs(
        node.name, node.site, node.cluster, node.role, state, pinned=bool(row and row.host_key)
    )
    if row is not None and state is NodeState.READY and undelivered(row):
        return plan_node(
            replace(
                inputs, pinned=True, talos=node.image.talos, installed_talos=row.talos, notes=(_NOT_OURS,)
            )
        )
    if row is None or not row.host_key or state is NodeState.RESET:
        return plan_node(inputs)
    if error is not None:
        return plan_node(
            replace(
                inputs, refusals=(Refusal(error.what, error.fix or "check the machine's power and network"),)
            )
        )
    desired = desire(services, fleet, node)
    inputs = replace(
        inputs,
        applied_digest=str(row.record.get("config_digest", "")),
        wanted_digest=desired.rendered.digest if desired.rendered else "",
        disk=desired.disk_plan(),
        image=desired.image_url,
        image_sha256=desired.image_sha256 or services.store.image_pin(desired.image_url),
        talos=desired.talos,
        installed_talos=row.talos,
        profile=desired.profile,
        notes=desired.notes,
        refusals=desired.refusals,
    )
    if state is NodeState.READY and inputs.wanted_digest and inputs.applied_digest != inputs.wanted_digest:
        inputs = await _what_changes(services, fleet, node, row, desired, inputs)
    return plan_node(inputs)


def undelivered(row: NodeRow) -> bool:
    """Whether it was adopted, and no configuration of ours was delivered since."""
    return bool(row.record.get("adopted")) and not row.record.get("config_digest")


async def _what_changes(
    services: Services, fleet: Fleet, node: Node, row: NodeRow, desired: Desired, inputs: NodeInputs
) -> NodeInputs:
    """The redacted difference to what was delivered last, and what the node itself says of a reboot."""
    delivered = f"node/{row.name}/config"
    before = services.store.get_secret(delivered).decode() if services.store.has_secret(delivered) else ""
    text = diff(before, desired.config.text) if before else "(what was delivered before is not known)"
    job = NodeJob(
        services,
        "",
        fleet,
        node,
        fleet.clusters[node.cluster],
        ClusterGate(node.cluster),
        Limits.default(),
        minting(services, node.cluster),
        desired,
    )
    try:
        async with job.talos() as talos:
            tried = await talos.apply_configuration(desired.config.text.encode(), mode="AUTO", dry_run=True)
    except FleetError as error:
        return replace(
            inputs, config_diff=text, refusals=(Refusal(error.what, error.fix or "see cto node show"),)
        )
    reboot = "needs a reboot" if tried.mode == "REBOOT" else "no reboot"
    return replace(inputs, config_diff=text, reboot=reboot)


def _clusters(services: Services, fleet: Fleet, nodes: Sequence[NodePlan]) -> list[ClusterPlan]:
    found = []
    for cluster in fleet.clusters.values():
        members = [n for n in nodes if n.cluster == cluster.name]
        if members:
            found.append(_cluster(services, cluster, members))
    return found


def _cluster(services: Services, cluster: Cluster, members: Sequence[NodePlan]) -> ClusterPlan:
    row = services.store.cluster(cluster.name)
    return plan_cluster(
        cluster.name,
        site=cluster.site,
        state=ClusterState(row.state) if row else ClusterState.PLANNED,
        endpoint=cluster.endpoint,
        kubernetes=cluster.kubernetes,
        members=members,
    )


def _without_control_plane(nodes: Sequence[NodePlan], clusters: Sequence[ClusterPlan]) -> list[NodePlan]:
    """A worker can't join a cluster that has not started and whose control planes are left out."""
    started = {c.name for c in clusters if c.state not in (ClusterState.PLANNED, ClusterState.JOINED)}
    led = {n.cluster for n in nodes if n.role != "worker" and (n.steps or n.state == NodeState.READY)}
    fixed = []
    for node in nodes:
        if node.steps and node.role == "worker" and node.cluster not in started | led:
            refusal = Refusal(
                f"cluster {node.cluster} has no control plane yet, and this plan has none for it",
                "leave --node out, or select a control plane as well",
            )
            fixed.append(_refused(node, refusal))
        else:
            fixed.append(node)
    return fixed


def _refused(node: NodePlan, refusal: Refusal) -> NodePlan:
    return replace(node, change=Change.REFUSED, steps=(), refusals=(*node.refusals, refusal))
