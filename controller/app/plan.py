"""`cto plan`: asks the machines that can be asked, then lets `core.plan` decide. Changes no machine.

It writes three things to the store: what the files declare, fresh facts, and a cluster's secrets at its
first plan (ADR 6).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from controller.app.access import renew_access
from controller.app.adopted import NOT_OURS, plan_adopted
from controller.app.confirm import confirm
from controller.app.context import ClusterGate, Limits, NodeJob, target_of
from controller.app.desired import Desired, desire, ensure_bundles, ensure_manifests, stored_facts
from controller.app.gather import gather
from controller.app.identity import minting
from controller.app.licensing import without_place
from controller.app.membership import path_of
from controller.app.observe import observe
from controller.app.services import Services
from controller.core.confirmation import refused, unconfirmed
from controller.core.plan import (
    Change,
    ClusterPlan,
    NodeInputs,
    NodePlan,
    PatchPlan,
    Plan,
    Refusal,
    assemble,
    plan_cluster,
    plan_node,
)
from controller.store import NodeRow
from facts.registry import machine_facts
from inventory.errors import FleetError, OperatorError, Unreachable
from inventory.fleet import Cluster, Fleet, Node
from inventory.lifecycle import ClusterState, NodeState
from inventory.resolve import Resolved
from inventory.selectors import Selection
from roles import platform
from roles.redaction import diff, redact_patch

ACTOR = "plan"
_NEW = (NodeState.PINNED, NodeState.INSPECTED)


def _unread(services: Services) -> list[str]:
    """What holds a restored store back, node by node."""
    return [
        f"{name}: not read since the restore, and nothing is changed until it is;"
        f" if it is gone for good: cto store resume --without {name}"
        for name in (services.store.unread() if services.store.observe_only() else ())
    ]


class Look(StrEnum):
    """How far the machines themselves are asked."""

    NONE = "none"  # not at all: what is known already has to do
    SHOW = "show"  # to be shown: one that does not answer is planned from what is known, unconfirmed
    ACT = "act"  # to be acted on: one that does not answer is refused


async def make_plan(
    services: Services, resolved: Resolved, selection: Selection, look: Look = Look.ACT
) -> Plan:
    """The plan for the selected nodes and their clusters."""
    fleet = resolved.fleet
    declared = services.store.declare(fleet, actor=ACTOR)
    if services.store.observe_only() and look is not Look.NONE:  # a restore: plan for what the nodes are now
        await observe(services, fleet.nodes, ())
    picked = selection.pick(fleet)
    await ensure_bundles(services, (n.cluster for n in picked))
    await ensure_manifests(services, [fleet.clusters[name] for name in {n.cluster for n in picked}])
    for name in dict.fromkeys(n.cluster for n in picked):
        renew_access(services, name)
    unreachable = await _refresh(services, picked) if look is not Look.NONE else {}
    nodes: Sequence[NodePlan] = await asyncio.gather(
        *(_plan_one(services, fleet, n, unreachable.get(n.name), look) for n in picked)
    )
    if look is not Look.NONE:
        nodes = await confirm(services, nodes)
    nodes = [_patched(resolved, node) for node in _licensed(services, picked, nodes)]
    clusters = _clusters(services, fleet, nodes)
    warnings = [str(w) for w in resolved.warnings] + _unread(services)
    warnings += [_left_out(services, name) for name in declared.missing]
    warnings += [
        f"{name}: the file pins another host key than the one trusted; the trusted one is kept"
        for name in declared.conflicts
    ]
    left = [f"{n.name}: {NOT_OURS}" for n in nodes if NOT_OURS in n.notes]
    warnings += left
    final = _without_control_plane(nodes, clusters)
    moving = {n.cluster for n in final if n.change is not Change.REFUSED}
    clusters = [c if c.name in moving else replace(c, steps=()) for c in clusters]
    return assemble(final, clusters, warnings=warnings)


def _left_out(services: Services, name: str) -> str:
    """Leaving a node out of the files destroys nothing; a command does."""
    row = services.store.node(name)
    live = row is not None and row.state in (NodeState.JOINED, NodeState.CLEANED, NodeState.READY)
    hint = f"; to give it up: cto node remove {name}" if live else ""
    return f"{name}: no longer in the site files; nothing is done to it{hint}"


def _licensed(services: Services, picked: Sequence[Node], nodes: Sequence[NodePlan]) -> list[NodePlan]:
    working = {plan.name for plan in nodes if plan.steps}
    held = without_place(services, (n for n in picked if n.name in working))
    return [refused(n, held[n.name]) if n.name in held else n for n in nodes]


def _patched(resolved: Resolved, node: NodePlan) -> NodePlan:
    """With the patches that its configuration has: at a first install there is no difference to show them."""
    if node.change is Change.NOTHING:
        return node
    told = (
        PatchPlan(o.layer.partition(" ")[0], o.layer, f"{o.file}:{o.line}", redact_patch(o.value))
        for o in resolved.patches(node.name)
    )
    return replace(node, patches=tuple(told))


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


async def _plan_one(
    services: Services, fleet: Fleet, node: Node, error: FleetError | None, look: Look
) -> NodePlan:
    row = services.store.node(node.name)
    state = NodeState(row.state) if row else NodeState.DECLARED
    inputs = NodeInputs(
        node.name, node.site, node.cluster, node.role, state, pinned=bool(row and row.host_key)
    )
    if row is not None and state is NodeState.READY and row.record.get("adopted"):
        return await plan_adopted(_job(services, fleet, node), inputs, ask=look is not Look.NONE)
    if row is None or not row.host_key or state is NodeState.RESET:
        return plan_node(inputs)
    if error is not None and not (look is Look.SHOW and _known(services, node, error)):
        fix = error.fix or "check the machine's power and network"
        return plan_node(replace(inputs, refusals=(Refusal(error.what, fix),)))
    desired = desire(services, fleet, node)
    inputs = replace(
        inputs,
        applied_digest=str(row.record.get("config_digest", "")),
        wanted_digest=desired.rendered.digest if desired.rendered else "",
        disk=desired.disk_plan(),
        image=desired.image_url,
        image_sha256=desired.image_sha256 or services.store.image_pin(desired.image_url),
        talos=node.image.talos,
        installed_talos=row.talos,
        profile=desired.profile,
        delivery=desired.node.delivery.method,
        notes=desired.notes,
        refusals=desired.refusals,
    )
    if state is NodeState.READY and inputs.wanted_digest and inputs.applied_digest != inputs.wanted_digest:
        inputs = await _what_changes(services, fleet, node, row, desired, inputs, look)
    made = plan_node(inputs)
    if made.change not in (Change.INSTALL, Change.RESUME):
        return made
    if error is not None:
        return replace(made, confirmation=unconfirmed(f"{error.what}; apply needs its answer"))
    return replace(made, confirmation=unconfirmed("no machine was asked")) if look is Look.NONE else made


def _known(services: Services, node: Node, error: FleetError) -> bool:
    """Whether an older answer is good enough to show. Somebody else's answer is never passed over."""
    return isinstance(error, Unreachable) and stored_facts(services, node.name) is not None


def _job(services: Services, fleet: Fleet, node: Node, desired: Desired | None = None) -> NodeJob:
    """For asking one node. Without a run, nothing can be done to it by this."""
    return NodeJob(
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


async def _what_changes(
    services: Services,
    fleet: Fleet,
    node: Node,
    row: NodeRow,
    desired: Desired,
    inputs: NodeInputs,
    look: Look,
) -> NodeInputs:
    """The redacted difference to what was delivered last, and what the node itself says of a reboot."""
    delivered = f"node/{row.name}/config"
    before = services.store.get_secret(delivered).decode() if services.store.has_secret(delivered) else ""
    text = diff(before, desired.config.text) if before else "(what was delivered before is not known)"
    if look is Look.NONE:
        return replace(inputs, config_diff=text, reboot="not asked (--offline)")
    job = _job(services, fleet, node, desired)
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
    planned = plan_cluster(
        cluster.name,
        site=cluster.site,
        state=ClusterState(row.state) if row else ClusterState.PLANNED,
        endpoint=cluster.endpoint,
        kubernetes=cluster.kubernetes,
        members=members,
    )
    path = path_of(services, cluster, members)
    return replace(planned, images=_platform_images(services, cluster), path=path)


def _platform_images(services: Services, cluster: Cluster) -> tuple[str, ...]:
    """What a mirror must have for the platform. A manifest that can't be read is told of its nodes."""
    try:
        files = services.manifests.of(cluster) if platform.sources(cluster) else {}
        carried = platform.manifests(cluster, files, proxy={})
    except OperatorError:
        return ()
    return tuple(dict.fromkeys(image for manifest in carried for image in manifest.images))


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
            fixed.append(refused(node, refusal))
        else:
            fixed.append(node)
    return fixed
