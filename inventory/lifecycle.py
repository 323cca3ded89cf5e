"""The life of a node and of a cluster, each as one transition table. Does no I/O and stores nothing.

`advance()` is the only way a state changes; a pair that is not in the table is an error. The kill
matrix of the tests, the plan's steps and the docs are all made from these tables.
"""

from dataclasses import dataclass
from enum import StrEnum

from inventory.errors import InvariantError


class NodeState(StrEnum):
    DECLARED = "declared"  # in a site file; nothing is trusted yet
    PINNED = "pinned"  # its SSH host key is known
    INSPECTED = "inspected"  # facts taken, disk chosen
    PREPARED = "prepared"  # tools, disk and clock checked; old boot sector cleared
    IMAGED = "imaged"  # image on the disk but for its first MiB, read back and equal
    CONFIGURED = "configured"  # configuration partition written, first MiB written last
    BOOT_SET = "boot-set"  # firmware boots the disk next
    BOOTING = "booting"  # told to reboot; not seen since
    JOINED = "joined"  # Talos answers with the cluster's own certificates
    CLEANED = "cleaned"  # configuration partition wiped and dropped, proved by a fresh read
    READY = "ready"  # verified by fresh reads
    RESET = "reset"  # decommissioned; holds nothing


class ClusterState(StrEnum):
    PLANNED = "planned"
    JOINED = "joined"  # its first control plane answers
    BOOTSTRAPPED = "bootstrapped"  # etcd started, exactly once
    ACCESSIBLE = "accessible"  # kubeconfig fetched
    READY = "ready"  # every member verified


@dataclass(frozen=True, slots=True)
class Transition:
    """One durable step: what it is called, from where to where, how long it usually takes (seconds)."""

    step: str
    source: str
    target: str
    title: str
    seconds: float
    disruptive: bool = False


NODE_TRANSITIONS: tuple[Transition, ...] = (
    Transition("pin", NodeState.DECLARED, NodeState.PINNED, "pin the SSH host key", 0),
    Transition("inspect", NodeState.PINNED, NodeState.INSPECTED, "gather facts", 2),
    Transition("prepare", NodeState.INSPECTED, NodeState.PREPARED, "prepare and check the machine", 4, True),
    Transition("image", NodeState.PREPARED, NodeState.IMAGED, "write the image", 90, True),
    Transition("configure", NodeState.IMAGED, NodeState.CONFIGURED, "deliver the configuration", 5, True),
    Transition("set-boot", NodeState.CONFIGURED, NodeState.BOOT_SET, "set the boot order", 3, True),
    Transition("reboot", NodeState.BOOT_SET, NodeState.BOOTING, "reboot into Talos", 5, True),
    Transition("join", NodeState.BOOTING, NodeState.JOINED, "wait for the Talos API", 120),
    Transition("clean", NodeState.JOINED, NodeState.CLEANED, "drop the configuration partition", 5),
    Transition("verify", NodeState.CLEANED, NodeState.READY, "verify by fresh reads", 60),
    Transition(
        "reconfigure", NodeState.READY, NodeState.CLEANED, "deliver a changed configuration", 10, True
    ),
    # A machine can be given up at any point after something was put on its disk.
    *(
        Transition("reset", state, NodeState.RESET, "wipe and decommission", 60, True)
        for state in list(NodeState)[list(NodeState).index(NodeState.PREPARED) : -1]
    ),
    # A machine may wait for its image; meanwhile somebody changes something.
    Transition(
        "settings", NodeState.PREPARED, NodeState.PREPARED, "bring back the machine's settings", 2, True
    ),
)

CLUSTER_TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        "await-control-plane", ClusterState.PLANNED, ClusterState.JOINED, "wait for a control plane", 0
    ),
    Transition(
        "bootstrap", ClusterState.JOINED, ClusterState.BOOTSTRAPPED, "start etcd, exactly once", 30, True
    ),
    Transition(
        "fetch-access",
        ClusterState.BOOTSTRAPPED,
        ClusterState.ACCESSIBLE,
        "fetch the kubeconfig",
        5,
    ),
    Transition(
        "verify-cluster", ClusterState.ACCESSIBLE, ClusterState.READY, "verify the cluster by fresh reads", 20
    ),
)

_STARTED = (ClusterState.BOOTSTRAPPED, ClusterState.ACCESSIBLE, ClusterState.READY)
_RECOVER = "recover etcd from a snapshot"
# What may be done to a cluster whose etcd runs. It stays where it is, or is verified again.
CLUSTER_ACTS: tuple[Transition, ...] = (
    *(Transition("drain-node", s, s, "cordon and drain a node that leaves", 60, True) for s in _STARTED),
    *(Transition("remove-member", s, s, "take a member out of etcd", 30, True) for s in _STARTED),
    *(Transition("forget-node", s, s, "take a node out of Kubernetes", 5, True) for s in _STARTED),
    *(Transition("move-endpoint", s, s, "move the Kubernetes endpoint", 60, True) for s in _STARTED),
    Transition(
        "raise-replicas", ClusterState.READY, ClusterState.READY, "raise Longhorn's replicas", 5, True
    ),
    Transition("recover", ClusterState.BOOTSTRAPPED, ClusterState.BOOTSTRAPPED, _RECOVER, 300, True),
    Transition("recover", ClusterState.ACCESSIBLE, ClusterState.ACCESSIBLE, _RECOVER, 300, True),
    Transition("recover", ClusterState.READY, ClusterState.ACCESSIBLE, _RECOVER, 300, True),
)

# The order in which a new machine goes through its life; `reconfigure` and `reset` stand aside.
INSTALL_PATH: tuple[Transition, ...] = NODE_TRANSITIONS[1:10]
RECONFIGURE_PATH: tuple[Transition, ...] = (NODE_TRANSITIONS[10], NODE_TRANSITIONS[9])
SETTINGS_PATH: tuple[Transition, ...] = NODE_TRANSITIONS[-1:]

# The four moments at which a controller may die during one transition (write intent, act, observe, record).
KILL_POINTS: tuple[str, ...] = ("before_intent", "after_intent", "after_effect", "after_observe")

_NODE = {(t.source, t.step): t for t in NODE_TRANSITIONS}
_CLUSTER = {(t.source, t.step): t for t in (*CLUSTER_TRANSITIONS, *CLUSTER_ACTS)}


def advance(state: NodeState, step: str) -> NodeState:
    """The state after `step` succeeded in `state`. Raises InvariantError for a pair not in the table."""
    found = _NODE.get((state, step))
    if found is None:
        raise InvariantError(f"a node that is {state} can't do {step!r}", fix="report this: it is our bug")
    return NodeState(found.target)


def advance_cluster(state: ClusterState, step: str) -> ClusterState:
    """As `advance`, for a cluster."""
    found = _CLUSTER.get((state, step))
    if found is None:
        raise InvariantError(f"a cluster that is {state} can't do {step!r}", fix="report this: it is our bug")
    return ClusterState(found.target)


def reset_path(state: NodeState) -> tuple[Transition, ...]:
    """The one step that gives a node up; empty where there is nothing to give up."""
    return tuple(t for t in NODE_TRANSITIONS if t.step == "reset" and t.source == state)


def remaining(state: NodeState, *, until: NodeState = NodeState.READY) -> tuple[Transition, ...]:
    """The install steps still ahead of a node in `state` up to `until`, in order; none for READY, RESET."""
    path = [t.source for t in INSTALL_PATH]
    last = [t.target for t in INSTALL_PATH].index(until) + 1
    return INSTALL_PATH[path.index(state) : last] if state in path else ()
