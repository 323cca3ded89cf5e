"""The operations of /api/v1, and its description. Reads through the same ports as the pages.

Lists that can grow come in pages (`paging`); of events and audit rows, the number of one is the cursor.
"""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any, TypeVar

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field

from inventory.errors import UnknownName
from web import fleet
from web.access.grants import Grant, Level
from web.access.guard import need, who
from web.api import inviting, orders, people, updates, windows
from web.api.metrics import metrics_text
from web.api.openapi import describe
from web.api.operations import PREFIX, Operations, Strict
from web.api.paging import MOST, USUAL, Page, PageParams, by_name, cut
from web.backend import Backend
from web.ports import (
    AuditCheck,
    AuditView,
    ClusterView,
    EngineView,
    EventView,
    Queries,
    RunView,
    SiteView,
)
from web.present import Need

T = TypeVar("T")


class NodeParams(PageParams):
    site: str = Field(default="", max_length=256)
    cluster: str = Field(default="", max_length=256)
    state: str = Field(default="", max_length=64)


class EventParams(Strict):
    after: int = Field(default=0, ge=0, le=2**53)
    before: int = Field(default=0, ge=0, le=2**53, description="With `newest`: older than this one; 0: all.")
    newest: bool = Field(default=False, description="The newest first, instead of what came after an event.")
    limit: int = Field(default=MOST, ge=1, le=MOST)
    subject: str = Field(default="", max_length=256)


class AuditParams(Strict):
    before: int = Field(default=0, ge=0, le=2**53, description="Rows older than this one; 0: the newest.")
    after: int = Field(default=0, ge=0, le=2**53, description="Rows younger than this one.")
    oldest: bool = Field(default=False, description="The oldest first.")
    limit: int = Field(default=USUAL, ge=1, le=MOST)
    search: str = Field(default="", max_length=200)


class AuditCheckParams(Strict):
    noted: str = Field(
        default="",
        pattern="^([0-9]{1,15}[ :][0-9a-fA-F]{64})?$",
        description="A row that was noted earlier: its number, a space, its hash.",
    )


class FactsParams(Strict):
    limit: int = Field(default=2, ge=1, le=100)


class NodeOut(BaseModel):
    """One node, with how it is shown and whether what is known is old."""

    name: str
    site: str
    cluster: str
    role: str
    state: str
    address: str
    ssh_port: int = 22
    jump: str = ""
    problem: str
    step: str
    step_started_at: str
    done: int
    total: int
    talos: str
    profile: str
    seen_at: str
    changed_at: str
    host_key_words: str
    record: dict[str, Any]
    labels: dict[str, str]
    tone: str = Field(description="good, busy, warn, bad, unknown or idle")
    shown_as: str
    stale: bool = Field(description="What is known is too old to be believed.")


class FleetOut(BaseModel):
    at: str
    last_event: int
    engine: EngineView
    sites: list[SiteView]
    clusters: list[dict[str, Any]]
    nodes: list[NodeOut]
    needs: list[Need]
    runs: list[RunView]


class EventsOut(BaseModel):
    events: list[EventView]
    last: int = Field(description="The newest event there is.")


class MeOut(BaseModel):
    account: str
    method: str
    grants: list[str]


class FactsOut(BaseModel):
    taken_at: str
    last_seen: str = ""
    digest: str
    body: dict[str, Any]


def make(backend: Backend, queries: Queries) -> Blueprint:
    """The blueprint of /api/v1 and /metrics."""
    blueprint = Blueprint("api", __name__)
    operations = Operations(backend.access)
    _fleet(operations, backend.clock, queries)
    _places(operations, queries)
    _machines(operations, backend.clock, queries)
    _history(operations, backend, queries)
    people.add(operations, backend.access)
    if backend.calendar is not None:
        windows.add(operations, backend.calendar, queries)
    if backend.enrolling is not None:
        orders.add_enrollments(operations, backend.enrolling, queries)
    if backend.inviting is not None:
        inviting.add_inviting(operations, backend.inviting, queries)
    if backend.rollouts is not None:
        orders.add_rollouts(operations, backend.rollouts, queries)
    if backend.updates is not None:
        updates.add_updates(operations, backend.updates, queries)
    if backend.upkeep is not None:
        updates.add_upkeep(operations, backend.upkeep)
    operations.register(blueprint)
    document = describe(operations.all, version=version("platform-in-a-box"))

    @blueprint.get(f"{PREFIX}/openapi.json")
    @need(Level.VIEWER)
    def openapi() -> Response:
        return jsonify(document)

    @blueprint.get("/metrics")
    @need(Level.VIEWER, whole=True)
    def metrics() -> Response:
        return Response(metrics_text(queries, backend.clock()), mimetype="text/plain; version=0.0.4")

    return blueprint


def _fleet(operations: Operations, clock: Callable[[], datetime], queries: Queries) -> None:
    viewer = Level.VIEWER

    @operations.add("GET", "/me", level=viewer, answer=MeOut)
    def get_me() -> MeOut:
        """Who asks, and what they are granted."""
        asking = who()
        return MeOut(account=asking.account, method=asking.method, grants=list(map(_text, asking.grants)))

    @operations.add("GET", "/fleet", level=viewer, answer=FleetOut)
    def get_fleet() -> FleetOut:
        """Everything that the overview shows, in one document."""
        now = clock()
        return FleetOut.model_validate(fleet.to_dict(fleet.gather(queries, now), queries, now))

    @operations.add("GET", "/engine", level=viewer, answer=EngineView)
    def get_engine() -> EngineView:
        """Who acts now."""
        return queries.engine()

    @operations.add("GET", "/expiries", level=viewer, answer=dict[str, str])
    def get_expiries() -> Any:
        """What the controller itself needs and that ends, and until when it is good."""
        return dict(queries.expiries())


def _places(operations: Operations, queries: Queries) -> None:
    viewer = Level.VIEWER

    @operations.add("GET", "/sites", level=viewer, answer=Page[SiteView], params=PageParams)
    def list_sites(params: PageParams) -> Any:
        """Sites by name."""
        return _page(queries.sites(), params, lambda site: site.name)

    @operations.add("GET", "/clusters", level=viewer, answer=Page[ClusterView], params=PageParams)
    def list_clusters(params: PageParams) -> Any:
        """Clusters by name."""
        return _page(queries.clusters(), params, lambda cluster: cluster.name)

    @operations.add("GET", "/clusters/<name>", level=viewer, answer=ClusterView)
    def get_cluster(name: str) -> ClusterView:
        """One cluster."""
        for cluster in queries.clusters():
            if cluster.name == name:
                return cluster
        raise UnknownName(f"there is no cluster {name!r}", fix="see the list of clusters")


def _machines(operations: Operations, clock: Callable[[], datetime], queries: Queries) -> None:
    viewer = Level.VIEWER

    @operations.add("GET", "/nodes", level=viewer, answer=Page[NodeOut], params=NodeParams)
    def list_nodes(params: NodeParams) -> Any:
        """Nodes by name; of one site, cluster or state if so asked."""
        wanted = {key: getattr(params, key) for key in ("site", "cluster", "state") if getattr(params, key)}
        found = [n for n in queries.nodes() if all(getattr(n, key) == value for key, value in wanted.items())]
        items, following = by_name(found, params, lambda node: node.name)
        return {"items": [fleet.node_dict(node, clock()) for node in items], "next": following}

    @operations.add("GET", "/nodes/<name>", level=viewer, answer=NodeOut)
    def get_node(name: str) -> Any:
        """One node."""
        return fleet.node_dict(queries.node(name), clock())

    @operations.add("GET", "/nodes/<name>/facts", level=viewer, answer=list[FactsOut], params=FactsParams)
    def get_facts(name: str, params: FactsParams) -> Any:
        """What a node was found to be, the newest first; a snapshot for each change."""
        queries.node(name)
        return [dict(each) for each in queries.facts(name, params.limit)]


def _history(operations: Operations, backend: Backend, queries: Queries) -> None:
    viewer = Level.VIEWER

    @operations.add("GET", "/events", level=viewer, answer=EventsOut, params=EventParams)
    def list_events(params: EventParams) -> EventsOut:
        """What came after an event, in order; or the newest first."""
        if params.newest:
            found = queries.recent_events(params.limit, params.before, params.subject)
        else:
            found = queries.events(params.after, params.limit, params.subject)
        return EventsOut(events=list(found), last=queries.last_event_id())

    @operations.add("GET", "/runs", level=viewer, answer=Page[RunView], params=PageParams, whole=True)
    def list_runs(params: PageParams) -> Any:
        """Runs, the youngest first."""
        items, following = cut(queries.runs(params.limit + 1, params.cursor), params, lambda run: run.id)
        return {"items": items, "next": following}

    @operations.add("GET", "/runs/<run>", level=viewer, answer=RunView, whole=True)
    def get_run(run: str) -> RunView:
        """One run."""
        return queries.run(run)

    @operations.add("GET", "/audit", level=viewer, answer=list[AuditView], params=AuditParams, whole=True)
    def list_audit(params: AuditParams) -> Sequence[AuditView]:
        """Rows of the audit log, the newest first unless asked otherwise."""
        return list(backend.records.audit(**params.model_dump()))

    @operations.add(
        "GET", "/audit/check", level=viewer, answer=AuditCheck, params=AuditCheckParams, whole=True
    )
    def check_audit(params: AuditCheckParams) -> AuditCheck:
        """Whether the chain of the audit log is whole."""
        return backend.records.audit_check(noted=params.noted)


def _page(items: Sequence[T], params: PageParams, key: Callable[[T], str]) -> dict[str, Any]:
    found, following = by_name(items, params, key)
    return {"items": [dataclasses.asdict(each) for each in found], "next": following}  # type: ignore[call-overload]


def _text(grant: Grant) -> str:
    return str(grant)
