"""What every face of the product may ask and order: `Queries` and `Commands`. No HTTP, no SQL here.

`controller.store` implements them, as does the HTTP client behind `cto --server`: CLI and pages can't differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from inventory.errors import (
    BusyError,
    FleetError,
    InvariantError,
    NodeError,
    OperatorError,
    RefusedError,
    StoreError,
    TransportError,
    UnknownName,
)
from web.access.ports import NotAllowed, NotRecognized, TooManyTries

# One table for both faces: error family → (CLI exit code, HTTP status). The first match wins.
ERROR_TABLE: tuple[tuple[type[BaseException], int, int], ...] = (
    (BusyError, 3, 409),
    (NotRecognized, 2, 401),
    (NotAllowed, 2, 403),
    (TooManyTries, 2, 429),
    (UnknownName, 2, 404),
    (RefusedError, 2, 409),
    (OperatorError, 2, 400),
    (StoreError, 2, 503),
    (NodeError, 4, 502),
    (TransportError, 4, 502),
    (InvariantError, 1, 500),
    (FleetError, 1, 500),
)
EXIT_DONE, EXIT_BUG, EXIT_INPUT, EXIT_BUSY, EXIT_NODE, EXIT_PARTLY, EXIT_CANCELLED = 0, 1, 2, 3, 4, 5, 130


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node as it is known. Times are ISO 8601 in UTC; `seen_at` empty means never."""

    name: str
    site: str
    cluster: str
    role: str
    state: str  # inventory.lifecycle.NodeState
    address: str
    problem: str = ""  # why it stands still, and what to do; empty if all is well
    step: str = ""  # the step that runs now
    step_started_at: str = ""
    done: int = 0  # bytes or units of the running step
    total: int = 0
    talos: str = ""
    profile: str = ""
    seen_at: str = ""
    changed_at: str = ""
    host_key_words: str = ""
    ssh_port: int = 22
    jump: str = ""  # the host that it is reached through
    record: Mapping[str, Any] = field(default_factory=dict)  # disk, image, digests…
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterView:
    name: str
    site: str
    state: str  # inventory.lifecycle.ClusterState
    endpoint: str
    kubernetes: str
    nodes: int
    ready: int
    problem: str = ""
    changed_at: str = ""
    verified_at: str = ""
    expires: Mapping[str, str] = field(default_factory=dict)  # certificate → until when it is good
    snapshot_problem: str = ""  # why the last etcd snapshot that was due could not be taken
    snapshot_good_at: str = ""  # with such a problem: when the newest whole one was taken; empty: never
    etcd: Mapping[str, Any] = field(default_factory=dict)  # as read last, with `at`: see `web.etcd_seen`
    cordons: Mapping[str, Any] = field(default_factory=dict)  # `nodes` that were cordoned `at` that time
    snapshot: Mapping[str, str] = field(
        default_factory=dict
    )  # the newest whole one: id, at, node, reason, actor


@dataclass(frozen=True, slots=True)
class SiteView:
    name: str
    timezone: str
    clusters: Sequence[str]
    nodes: int
    ready: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunView:
    """One `cto apply` (or reset): queued, running, done, failed, partly, cancelled."""

    id: str
    kind: str
    state: str
    selection: str
    queued_at: str
    started_at: str = ""
    finished_at: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventView:
    id: int  # rises by at least one; the cursor of `events(after)`
    at: str
    kind: str  # FactsTaken, PlanMade, StepStarted, StepFinished, StepFailed, ClusterBootstrapped, Verified…
    subject: str  # "node/kn-cp-1", "cluster/kn", "run/…", "controller"
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineView:
    """Who acts now. `pid` 0: nobody."""

    pid: int = 0
    since: str = ""
    observe_only: bool = False  # after a restore, until nodes were read


@dataclass(frozen=True, slots=True)
class RolloutView:
    """One rollout. `summary`: what `controller.app.rollout_view` made of its state when it was saved last."""

    id: str
    status: str  # running, paused, stopped, aborted, succeeded
    over: bool  # nothing is under way, and nothing will be begun
    actor: str
    reason: str
    created_at: str
    saved_at: str
    finished_at: str = ""
    rollback_of: str = ""
    ordered: str = ""  # verbs that no engine has taken yet, such as "pause"
    facts: Mapping[str, Any] = field(default_factory=dict)  # target, policy, who was left out and why
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnrollmentView:
    """A machine that proved a token: pending, approved, rejected, expired, forgotten. What it says of itself
    (`claimed`, `hardware`) is a claim; `words` are those on its console.
    """

    id: str
    state: str
    token: str
    site: str  # and role: the token's
    role: str
    claimed: str
    node_key: str
    ssh_key: str  # an OpenSSH public key line
    ssh_port: int
    hardware: Mapping[str, str]
    words: str
    session: str
    request: str  # SHA-256 of what it sent, by which a replay is known
    address: str
    conflict: str  # why it must not be believed without a second look
    node: str  # which node it became
    decided_by: str
    reason: str
    first_at: str
    seen_at: str
    decided_at: str


@dataclass(frozen=True, slots=True)
class RefusalView:
    """Attempts to enrol from one address that were refused for one reason."""

    reason: str
    address: str
    token: str  # the id that was named; empty if it is not known which
    what: str
    fix: str
    times: int
    first_at: str
    last_at: str


@dataclass(frozen=True, slots=True)
class EnrollWindowView:
    """When machines may ask. It is open as long as `closed_at` is empty and `until` lies ahead."""

    opened_at: str
    until: str
    interfaces: Sequence[str]
    port: int
    actor: str
    closed_at: str
    endpoints: Sequence[str]  # where somebody listens now, "10.0.0.5:7443"
    pid: int  # who listens
    problem: str
    rivals: Sequence[str]  # others that announce themselves as a controller

    def is_open(self, at: str) -> bool:
        return not self.closed_at and at < self.until


class Queries(Protocol):
    def engine(self) -> EngineView: ...
    def sites(self) -> Sequence[SiteView]: ...
    def clusters(self) -> Sequence[ClusterView]: ...
    def nodes(self) -> Sequence[NodeView]: ...
    def node(self, name: str) -> NodeView: ...
    def runs(self, limit: int = 20, before: str = "") -> Sequence[RunView]: ...  # older than that
    def run(self, run_id: str) -> RunView: ...
    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]: ...
    def recent_events(self, limit: int = 500, before: int = 0, subject: str = "") -> Sequence[EventView]:
        """The newest first; of those before that id (0: of all)."""
        ...

    def last_event_id(self) -> int: ...
    def facts(self, node: str, limit: int = 2) -> Sequence[Mapping[str, Any]]: ...
    def rollouts(self, limit: int = 20, before: str = "") -> Sequence[RolloutView]: ...  # older than that
    def rollout(self, rollout: str) -> RolloutView: ...
    def rollout_clusters(self, rollout: str, cluster: str = "") -> Sequence[Mapping[str, Any]]:
        """Its clusters with their nodes, in their order; or only the one that is named."""
        ...

    def rollout_sites(self, rollout: str) -> Sequence[str]:
        """The sites of its clusters. Empty for one that is not known."""
        ...

    def enrollments(self, states: Sequence[str] = ()) -> Sequence[EnrollmentView]:
        """Machines that asked to join, those that wait first."""
        ...

    def enrollment_refusals(self) -> Sequence[RefusalView]: ...
    def enrollment_window(self) -> EnrollWindowView | None: ...
    def expiries(self) -> Mapping[str, str]:
        """What the controller itself needs and that ends (a licence, release metadata) → until when."""
        ...


@dataclass(frozen=True, slots=True)
class AuditView:
    """One row of the audit log: who did what to which thing, and why."""

    seq: int
    at: str
    actor: str
    action: str
    object: str
    before: str
    after: str
    reason: str
    run: str
    epoch: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Whether the chain is whole; `why` and `first_bad` if not. `head` is worth noting elsewhere."""

    ok: bool
    rows: int
    first_bad: int
    why: str
    head: str


class Records(Protocol):
    """The audit log, for those who look after the whole fleet."""

    def audit(
        self, *, search: str = "", before: int = 0, after: int = 0, limit: int = 100, oldest: bool = False
    ) -> Sequence[AuditView]:
        """Between two rows (0: no such end), with every word of `search`; the newest or the oldest first."""
        ...

    def audit_check(self, *, noted: str = "") -> AuditCheck:
        """`noted`: a row that was kept elsewhere, `SEQ HASH`; only that shows a tail that was cut off.

        Raises OperatorError if it is no such thing.
        """
        ...


class Commands(Protocol):
    def queue_run(self, kind: str, selection: Mapping[str, Any], *, actor: str) -> str: ...
    def cancel_run(self, run_id: str, *, actor: str, reason: str) -> None: ...
    def order_rollout(
        self, rollout: str, verb: str, *, actor: str, reason: str, cluster: str = "", wave: int = -1
    ) -> str:
        """`verb`: pause, resume, abort, cancel (a cluster), approve or withdraw (a wave, from 0)."""
        ...
