"""What every face of the product may ask and order: `Queries` and `Commands`. No HTTP, no SQL here.

The store implements them directly (`controller.store`); later the HTTP client behind
`cto --server` does too, so that the CLI and the pages can't come to differ.
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
    StoreError,
    TransportError,
)

# One table for both faces: error family → (CLI exit code, HTTP status). The first match wins.
ERROR_TABLE: tuple[tuple[type[BaseException], int, int], ...] = (
    (BusyError, 3, 409),
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


@dataclass(frozen=True, slots=True)
class SiteView:
    name: str
    timezone: str
    clusters: Sequence[str]
    nodes: int
    ready: int


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


class Queries(Protocol):
    def engine(self) -> EngineView: ...
    def sites(self) -> Sequence[SiteView]: ...
    def clusters(self) -> Sequence[ClusterView]: ...
    def nodes(self) -> Sequence[NodeView]: ...
    def node(self, name: str) -> NodeView: ...
    def runs(self, limit: int = 20) -> Sequence[RunView]: ...
    def run(self, run_id: str) -> RunView: ...
    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]: ...
    def last_event_id(self) -> int: ...
    def facts(self, node: str, limit: int = 2) -> Sequence[Mapping[str, Any]]: ...


class Commands(Protocol):
    def queue_run(self, kind: str, selection: Mapping[str, Any], *, actor: str) -> str: ...
    def cancel_run(self, run_id: str, *, actor: str, reason: str) -> None: ...
