"""What the store hands out: frozen values. No SQL, no connection."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from inventory.lifecycle import ClusterState, NodeState

Kind = Literal["node", "cluster"]
Outcome = Literal["done", "failed", "indeterminate", "cancelled"]
RunState = Literal["queued", "running", "done", "failed", "partly", "cancelled"]


@dataclass(frozen=True, slots=True)
class NodeRow:
    name: str
    site: str
    cluster: str
    role: str
    declared: bool  # is it in the site files that were declared last?
    state: NodeState
    address: str
    ssh_port: int
    ssh_user: str
    jump: str
    host_key: str
    key_words: str
    labels: Mapping[str, str]
    record: Mapping[str, Any]
    problem: str
    talos: str
    profile: str
    unread: bool  # not seen since a restore
    seen_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class ClusterRow:
    name: str
    site: str
    endpoint: str
    kubernetes: str
    state: ClusterState
    record: Mapping[str, Any]
    problem: str
    changed_at: str
    verified_at: str

    @property
    def in_use(self) -> bool:
        """Was it verified since its etcd was started? Then it may hold what nobody wants to lose."""
        return bool(self.verified_at) and self.state not in (ClusterState.PLANNED, ClusterState.JOINED)


@dataclass(frozen=True, slots=True)
class StepRef:
    """Which step of what. `subject` is the bare name of the node or cluster."""

    run: str
    kind: Kind
    subject: str
    step: str

    @property
    def path(self) -> str:
        """As in events and progress: "node/kn-cp-1"."""
        return f"{self.kind}/{self.subject}"


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt at a step. `outcome` is "started" until `finish` is called."""

    id: str
    ref: StepRef
    attempt: int
    epoch: int
    outcome: str
    started_at: str
    finished_at: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    kind: str
    state: RunState
    selection: Mapping[str, Any]
    options: Mapping[str, Any]
    actor: str
    epoch: int
    cancel: str  # the reason, once somebody asked for it
    queued_at: str
    started_at: str
    finished_at: str
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """What `declare` did, by node name."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # known, but no longer in the files; nothing is removed
    conflicts: tuple[str, ...] = ()  # the files pin another host key than the one that is trusted; kept


@dataclass(frozen=True, slots=True)
class SecretInfo:
    name: str
    key_id: str
    put_at: str


def node_row(row: sqlite3.Row) -> NodeRow:
    values = dict(row)
    for flag in ("declared", "unread"):
        values[flag] = bool(values[flag])
    for name in ("labels", "record"):
        values[name] = json.loads(values[name])
    return NodeRow(**{**values, "state": NodeState(values["state"])})


def cluster_row(row: sqlite3.Row) -> ClusterRow:
    values = dict(row)
    values["record"] = json.loads(values["record"])
    return ClusterRow(**{**values, "state": ClusterState(values["state"])})


def step_row(row: sqlite3.Row) -> Step:
    return Step(
        id=row["id"],
        ref=StepRef(row["run"], row["kind"], row["subject"], row["step"]),
        attempt=row["attempt"],
        epoch=row["epoch"],
        outcome=row["outcome"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        detail=json.loads(row["detail"]),
    )


def run_row(row: sqlite3.Row) -> RunRow:
    values = dict(row)
    for name in ("selection", "options", "summary"):
        values[name] = json.loads(values[name])
    return RunRow(**values)
