"""What goes into the rollout core (observations) and what comes out (intents, events). Values only.

`at` is the wall clock at which something was read, not at which it arrived.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from controller.core.quorum import MemberRead
from controller.core.rollout.model import Hop


class Result(StrEnum):
    """How an act ended, as far as its caller knows."""

    DONE = "done"  # for what reboots: accepted
    FAILED = "failed"  # verified: the node or the cluster said no; never sent again
    NOT_SENT = "not-sent"  # nothing can have happened
    INDETERMINATE = "indeterminate"  # anything may have happened


class Verdict(StrEnum):
    """What a probe found of an effect."""

    DONE = "done"
    NOT_DONE = "not-done"
    CANNOT_TELL = "cannot-tell"


class Verb(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    CANCEL = "cancel"  # one cluster that was not begun
    APPROVE = "approve"  # one wave
    APPROVE_ALONE = "approve-alone"  # where nobody else could: it counts after some minutes
    WITHDRAW = "withdraw"  # the approval of a wave that was not begun


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node in a fresh read. `healthy`: its services, and its etcd member if it has one."""

    name: str
    reachable: bool
    talos: str = ""
    kubelet: str = ""
    apiserver: str = ""
    schematic: str = ""
    boot_id: str = ""
    ready: bool = False  # to Kubernetes
    healthy: bool = False
    cordoned: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """Answer to LookAtNode."""

    cluster: str
    at: float
    view: NodeView


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """Answer to LookAtCluster: one uncached read of everything that the guard and the health gates need."""

    cluster: str
    at: float
    nodes: tuple[NodeView, ...]
    members: tuple[MemberRead, ...]
    endpoints: int  # that were asked and agree
    leader: str = ""  # node name
    system_ready: bool = False  # pods of kube-system
    holder: str = ""  # of the cluster's disruption lease, if it is not this rollout
    problem: str = ""  # what else is wrong; empty = nothing


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an Act."""

    cluster: str
    node: str
    key: str
    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """Answer to Probe."""

    cluster: str
    node: str
    key: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Preflighted:
    """Answer to Preflight. No problems = may start."""

    cluster: str
    at: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator said. A command id is obeyed once."""

    id: str
    verb: Verb
    actor: str
    reason: str
    cluster: str = ""
    wave: int = -1


@dataclass(frozen=True, slots=True)
class Restarted:
    """The controller was started again: whatever was under way must be looked up before it is repeated."""


Observation = NodeSeen | ClusterSeen | Outcome | Probed | Preflighted | Command | Restarted


@dataclass(frozen=True, slots=True)
class Act:
    """Do this once. The state that was returned with it must be stored before it is done."""

    key: str
    cluster: str
    node: str
    hop: Hop
    step: str  # see routes: stage, snapshot, cordon, drain, install, reboot, upgrade, patch, back, uncordon
    attempt: int
    seconds: float  # after which the caller gives up and answers INDETERMINATE


@dataclass(frozen=True, slots=True)
class Probe:
    """Look up whether the effect with this key happened. Safe to repeat."""

    key: str
    cluster: str
    node: str
    hop: Hop
    step: str


@dataclass(frozen=True, slots=True)
class LookAtNode:
    cluster: str
    node: str


@dataclass(frozen=True, slots=True)
class LookAtCluster:
    cluster: str
    purpose: str  # guard or health


@dataclass(frozen=True, slots=True)
class Preflight:
    cluster: str


Intent = Act | Probe | LookAtNode | LookAtCluster | Preflight


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that people may want to know. `kind` is stable."""

    kind: str
    subject: str
    text: str
    data: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """May a node of this site be started now? `until`: wall clock at which the window closes."""

    ok: bool
    reason: str = ""
    until: float = 0.0
    opens: float = 0.0  # next time, if known


class Gates(Protocol):
    """What the store and the calendar say at this moment. Read in the transaction that stores the state."""

    def frozen(self) -> str:
        """Why the whole fleet is frozen; empty = it is not."""
        ...

    def admits(self, site: str, now: float, seconds: float) -> Admission:
        """Whether a node that takes `seconds` may be started at the site."""
        ...
