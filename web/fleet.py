"""Gathers what the overview shows: sites with their clusters and nodes, in one consistent shape.

One pass over `Queries`, used by the page, by its fragments and by the JSON; no HTML here.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from inventory.wording import count
from web import present
from web.ports import ClusterView, EventView, NodeView, Queries, RunView, SiteView
from web.snapshot_needs import without_snapshot
from web.waiting import waiting

P = TypeVar("P", ClusterView, NodeView)
EXPIRES_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ClusterPart:
    cluster: ClusterView
    badge: present.Badge
    nodes: Sequence[NodeView]


@dataclass(frozen=True, slots=True)
class SitePart:
    site: SiteView
    clusters: Sequence[ClusterPart]
    loose: Sequence[NodeView]  # nodes of this site that belong to no declared cluster


@dataclass(frozen=True, slots=True)
class FleetPart:
    sites: Sequence[SitePart]
    orphans: Sequence[NodeView]  # nodes whose site is not declared (added by hand)
    needs: Sequence[present.Need]
    running: Sequence[NodeView]
    runs: Sequence[RunView]
    nodes: int
    ready: int
    cluster_count: int
    clusters_ready: int
    engine_pid: int
    observe_only: bool
    last_event: int
    unseen: int = 0  # nodes that were ready when last seen, too long ago to say so now

    @property
    def engine(self) -> str:
        """What the engine does, in words."""
        if not self.engine_pid:
            return "at rest"
        busy = bool(self.running) or any(run.state == "running" for run in self.runs)
        return "working" if busy else "waiting for orders"


def gather(queries: Queries, now: datetime) -> FleetPart:
    """The whole fleet as it is known now; the one that others look at just now, where there is such."""
    ready: Callable[[datetime], FleetPart] | None = getattr(queries, "gathered", None)
    return build(queries, now) if ready is None else ready(now)


def build(queries: Queries, now: datetime) -> FleetPart:
    """The same, made anew."""
    nodes, clusters, engine = queries.nodes(), queries.clusters(), queries.engine()
    clusters_at, nodes_at = _grouped(clusters), _grouped(nodes)
    sites = [_site(site, clusters_at[site.name], nodes_at[site.name], now) for site in queries.sites()]
    shown = {node.name for part in sites for node in _nodes_of(part)}
    badges = [present.cluster_badge(cluster, now) for cluster in clusters]
    tones = Counter(present.node_badge(node, now).tone for node in nodes)
    return FleetPart(
        sites=tuple(sites),
        orphans=[node for node in nodes if node.name not in shown],
        needs=_needs(nodes, clusters, queries, now),
        running=[node for node in nodes if node.step],
        runs=queries.runs(5),
        nodes=len(nodes),
        ready=tones["good"],
        unseen=tones["unknown"],
        cluster_count=len(clusters),
        clusters_ready=sum(badge.tone == "good" for badge in badges),
        engine_pid=engine.pid,
        observe_only=engine.observe_only,
        last_event=queries.last_event_id(),
    )


def needs_of(queries: Queries, now: datetime) -> Sequence[present.Need]:
    """What waits for a person."""
    return gather(queries, now).needs


def _needs(
    nodes: Sequence[NodeView], clusters: Sequence[ClusterView], queries: Queries, now: datetime
) -> list[present.Need]:
    missing = without_snapshot(clusters, now)
    ends = [*expiring(clusters, now), *ending(queries.expiries(), now)]
    return [*waiting(queries), *present.needs(nodes, clusters), *missing, *ends]


def _grouped(items: Sequence[P]) -> dict[str, list[P]]:
    """By site."""
    found: dict[str, list[P]] = defaultdict(list)
    for item in items:
        found[item.site].append(item)
    return found


def expiring(clusters: Sequence[ClusterView], now: datetime) -> list[present.Need]:
    """Certificates that end within 30 days, the nearest first; those of people are made again by us."""
    found = []
    for cluster in clusters:
        for what, until in cluster.expires.items():
            end = present.parse_time(until)
            if end is not None and end - now <= EXPIRES_SOON:
                found.append((end, cluster.name, what))
    return [_expiry(now, *each) for each in sorted(found)]


def ending(expiries: Mapping[str, str], now: datetime) -> list[present.Need]:
    """The same for what the controller itself needs: its licence, its release metadata."""
    found = [(present.parse_time(until), what) for what, until in expiries.items()]
    near = sorted((end, what) for end, what in found if end is not None and end - now <= EXPIRES_SOON)
    return [
        present.Need("controller", f"{what} {_when(now, end)}\n→ {_renewal(what)}", _tone(now, end))
        for end, what in near
    ]


def _expiry(now: datetime, end: datetime, cluster: str, what: str) -> present.Need:
    fix = (
        "what it signed ends with it, and this version can't exchange it: see the guide to secrets"
        if what.startswith("CA ")
        else "cto plan makes a new one"
    )
    return present.Need(f"cluster/{cluster}", f"{what} {_when(now, end)}\n→ {fix}", _tone(now, end))


def _when(now: datetime, end: datetime) -> str:
    if end <= now:
        return f"ended on {end:%Y-%m-%d}"
    return f"ends on {end:%Y-%m-%d}, in {count((end - now).days, 'day')}"


def _tone(now: datetime, end: datetime) -> str:
    return "bad" if end <= now else "warn"


def _renewal(what: str) -> str:
    if what.startswith("licence"):
        return "get a new one and run cto license import FILE; what runs is looked after as before"
    return "run cto update check"


def _site(
    site: SiteView, clusters: Sequence[ClusterView], nodes: Sequence[NodeView], now: datetime
) -> SitePart:
    """`clusters` and `nodes` are those of this site."""
    names = {cluster.name for cluster in clusters}
    parts = [
        ClusterPart(
            cluster,
            present.cluster_badge(cluster, now),
            [node for node in nodes if node.cluster == cluster.name],
        )
        for cluster in clusters
    ]
    return SitePart(site, parts, [node for node in nodes if node.cluster not in names])


def _nodes_of(part: SitePart) -> list[NodeView]:
    return [node for cluster in part.clusters for node in cluster.nodes] + list(part.loose)


def latest_events(queries: Queries, count: int, subject: str = "") -> list[EventView]:
    """The newest events, oldest first."""
    return list(reversed(queries.recent_events(count, 0, subject)))


def to_dict(fleet: FleetPart, queries: Queries, now: datetime) -> dict[str, Any]:
    """The same for programs: `/api/v1/fleet` and `cto status --output json` agree on it."""
    engine = queries.engine()
    return {
        "at": now.isoformat(),
        "last_event": fleet.last_event,
        "engine": dataclasses.asdict(engine),
        "sites": [dataclasses.asdict(part.site) for part in fleet.sites],
        "clusters": [
            dataclasses.asdict(part.cluster) | {"tone": part.badge.tone, "shown_as": part.badge.label}
            for site in fleet.sites
            for part in site.clusters
        ],
        "nodes": [node_dict(node, now) for node in queries.nodes()],
        "needs": [dataclasses.asdict(need) for need in fleet.needs],
        "runs": [dataclasses.asdict(run) for run in fleet.runs],
    }


def node_dict(node: NodeView, now: datetime) -> dict[str, Any]:
    """One node for programs, with how it is shown and whether what is known is old."""
    badge = present.node_badge(node, now)
    fields = {item.name: getattr(node, item.name) for item in dataclasses.fields(node)}
    fields["record"] = dict(node.record)
    return fields | {
        "tone": badge.tone,
        "shown_as": badge.label,
        "stale": present.is_stale(node.seen_at, now),
    }
