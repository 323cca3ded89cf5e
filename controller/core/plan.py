"""What would change, decided from values. Reads no machine and no store: `controller.app.plan` does.

`plan_node` says which of five things happens to a node (nothing, install, resume, reconfigure, refused)
and why; `assemble` puts the fleet's plan together and gives it a digest that `apply` can be held to.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from inventory.lifecycle import (
    CLUSTER_TRANSITIONS,
    RECONFIGURE_PATH,
    ClusterState,
    NodeState,
    Transition,
    remaining,
)


class Change(StrEnum):
    NOTHING = "nothing"
    INSTALL = "install"
    RESUME = "resume"
    RECONFIGURE = "reconfigure"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this can't be done, and what would make it possible."""

    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """The disk that will be overwritten, why this one, and what is on it now."""

    path: str
    serial: str
    size: int  # bytes
    model: str
    reason: str
    contents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatchPlan:
    """One patch of the machine configuration, and who says it: layer "site berlin" has the scope "site"."""

    scope: str  # organization, template, site, cluster, role, class, node
    layer: str
    where: str  # file:line
    text: str  # YAML, redacted


@dataclass(frozen=True, slots=True)
class StepPlan:
    step: str
    title: str
    seconds: float  # expected
    disruptive: bool


@dataclass(frozen=True, slots=True)
class NodePlan:
    name: str
    site: str
    cluster: str
    role: str
    state: str
    change: Change
    steps: tuple[StepPlan, ...] = ()
    disk: DiskPlan | None = None
    image: str = ""
    image_sha256: str = ""  # what the image is held to; empty until its first fetch
    talos: str = ""
    profile: str = ""
    delivery: str = ""  # how the configuration gets there
    config_digest: str = ""
    patches: tuple[PatchPlan, ...] = ()  # in the order in which they apply; empty if nothing changes
    config_diff: str = ""  # redacted; for reconfigure
    reboot: str = ""  # reconfigure: what the node says about a reboot
    confirmation: str = ""  # by a look at the machine; empty if there was nothing to look at
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    name: str
    site: str
    state: str
    endpoint: str
    kubernetes: str
    nodes: int
    steps: tuple[StepPlan, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    images: tuple[str, ...] = ()  # container images that the platform's manifests need
    path: tuple[str, ...] = ()  # how its membership or endpoint changes, one thing after the other


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer of `cto plan`. `digest` covers everything that decides what would be done."""

    nodes: tuple[NodePlan, ...]
    clusters: tuple[ClusterPlan, ...]
    digest: str
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[NodePlan, ...]:
        """Nodes to which something will happen."""
        return tuple(n for n in self.nodes if n.change not in (Change.NOTHING, Change.REFUSED))

    @property
    def cluster_changes(self) -> tuple[ClusterPlan, ...]:
        return tuple(c for c in self.clusters if c.steps)

    @property
    def refusals(self) -> tuple[tuple[str, Refusal], ...]:
        """(node or cluster, refusal) of everything that can't be done."""
        found = [(n.name, r) for n in self.nodes for r in n.refusals]
        return tuple(found + [(c.name, r) for c in self.clusters for r in c.refusals])

    @property
    def destroys(self) -> tuple[NodePlan, ...]:
        """Nodes on whose disk something is that would be lost."""
        return tuple(n for n in self.changes if n.disk is not None and n.disk.contents)

    @property
    def seconds(self) -> float:
        """Expected duration: nodes go in parallel, so the longest one decides."""
        nodes = max((sum(s.seconds for s in n.steps) for n in self.nodes), default=0)
        return nodes + max((sum(s.seconds for s in c.steps) for c in self.clusters), default=0)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, stable for scripts."""
        return {
            "digest": self.digest,
            "changes": len(self.changes) + len(self.cluster_changes),
            "refused": len(self.refusals),
            "expected_seconds": self.seconds,
            "warnings": list(self.warnings),
            "nodes": [asdict(n) for n in self.nodes],
            "clusters": [asdict(c) for c in self.clusters],
        }


@dataclass(frozen=True, slots=True)
class NodeInputs:
    """What is known of one node when the plan is made."""

    name: str
    site: str
    cluster: str
    role: str
    state: NodeState
    pinned: bool
    applied_digest: str = ""
    wanted_digest: str = ""
    disk: DiskPlan | None = None
    image: str = ""
    image_sha256: str = ""
    talos: str = ""
    installed_talos: str = ""
    profile: str = ""
    delivery: str = ""
    config_diff: str = ""
    reboot: str = ""
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def _steps(transitions: Sequence[Transition]) -> tuple[StepPlan, ...]:
    return tuple(StepPlan(t.step, t.title, t.seconds, t.disruptive) for t in transitions)


def _decide(node: NodeInputs) -> tuple[Change, tuple[StepPlan, ...], tuple[Refusal, ...]]:
    if node.state is NodeState.RESET:
        refusal = Refusal(
            "this machine was decommissioned",
            f"boot it from the ISO and pin its key again: cto node add {node.name} --confirm-words",
        )
        return Change.REFUSED, (), (refusal,)
    if not node.pinned:
        refusal = Refusal(
            "its SSH host key is not pinned, and nothing is trusted on first use",
            f"compare the KEY words on its console: cto node add {node.name} --address … --confirm-words",
        )
        return Change.REFUSED, (), (refusal,)
    if node.refusals:
        return Change.REFUSED, (), node.refusals
    if node.state is NodeState.READY:
        if node.wanted_digest and node.applied_digest != node.wanted_digest:
            return Change.RECONFIGURE, _steps(RECONFIGURE_PATH), ()
        return Change.NOTHING, (), ()
    change = Change.INSTALL if node.state in (NodeState.PINNED, NodeState.INSPECTED) else Change.RESUME
    return change, _steps(remaining(node.state)), ()


BY_ROLLOUT = "versions change by rollout"  # how the note about another version ends


def plan_node(node: NodeInputs) -> NodePlan:
    """Decides what happens to one node. A READY node of another version gets a note: that needs a rollout."""
    change, steps, refusals = _decide(node)
    notes, runs = node.notes, node.installed_talos
    if node.state is NodeState.READY and runs and node.talos not in ("", runs):
        notes = (*notes, f"runs Talos {runs}; the file says {node.talos}: {BY_ROLLOUT}")
    return NodePlan(
        name=node.name,
        site=node.site,
        cluster=node.cluster,
        role=node.role,
        state=node.state,
        change=change,
        steps=steps,
        disk=node.disk if change in (Change.INSTALL, Change.RESUME) else None,
        image=node.image,
        image_sha256=node.image_sha256,
        talos=node.talos,
        profile=node.profile,
        delivery=node.delivery,
        config_digest=node.wanted_digest,
        config_diff=node.config_diff,
        reboot=node.reboot,
        notes=notes,
        refusals=refusals,
    )


def plan_cluster(
    name: str,
    *,
    site: str,
    state: ClusterState,
    endpoint: str,
    kubernetes: str,
    members: Sequence[NodePlan],
) -> ClusterPlan:
    """What is still ahead of a cluster. It is refused when none of its control planes can be installed."""
    order = [t.source for t in CLUSTER_TRANSITIONS]
    if state is ClusterState.READY:
        grows = any(m.change in (Change.INSTALL, Change.RESUME, Change.RECONFIGURE) for m in members)
        ahead = CLUSTER_TRANSITIONS[-1:] if grows else ()
    else:
        ahead = CLUSTER_TRANSITIONS[order.index(state) :]
    control_planes = [m for m in members if m.role != "worker"]
    refusals: tuple[Refusal, ...] = ()
    if ahead and control_planes and all(m.change is Change.REFUSED for m in control_planes):
        first = control_planes[0].refusals[0] if control_planes[0].refusals else None
        fix = first.fix if first else "see its nodes"
        refusals = (Refusal("none of its control planes can be installed", fix),)
        ahead = ()
    return ClusterPlan(name, site, state, endpoint, kubernetes, len(members), _steps(ahead), refusals)


def _digest(nodes: Sequence[NodePlan], clusters: Sequence[ClusterPlan]) -> str:
    essence: dict[str, Any] = {
        "nodes": [
            [n.name, n.role, n.change, n.disk.serial if n.disk else "", n.image, n.config_digest]
            for n in nodes
        ],
        "clusters": [[c.name, c.endpoint, [s.step for s in c.steps]] for c in clusters],
    }
    return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()


def assemble(
    nodes: Sequence[NodePlan], clusters: Sequence[ClusterPlan], *, warnings: Sequence[str] = ()
) -> Plan:
    """The fleet's plan with its digest: equal inputs give an equal digest."""
    return Plan(tuple(nodes), tuple(clusters), _digest(nodes, clusters), tuple(warnings))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a run: `state` is done, partly or failed; `failed` maps subject to problem."""

    state: Literal["done", "partly", "failed"]
    done: int
    failed: Mapping[str, str] = field(default_factory=dict)


def judge(*, done: int, failed: Mapping[str, str]) -> Verdict:
    """Fail-closed: one failure among successes is `partly`, never `done`."""
    if not failed:
        return Verdict("done", done)
    return Verdict("partly" if done else "failed", done, dict(failed))
