"""The fleet in the text format of Prometheus. A few gauges of what is known; judges nothing itself."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from web import fleet, present
from web.ports import ClusterView, NodeView, Queries

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def metrics_text(queries: Queries, now: datetime) -> str:
    """Sites, clusters and nodes by how they are shown, what needs somebody, and ages."""
    nodes, clusters = queries.nodes(), queries.clusters()
    gauges = [*_of_nodes(nodes, now), *_of_clusters(clusters), *_of_the_rest(clusters, nodes, queries, now)]
    return "".join(gauges)


def _of_nodes(nodes: Sequence[NodeView], now: datetime) -> Iterator[str]:
    tones = Counter((node.site, present.node_badge(node, now).tone) for node in nodes)
    states = Counter((node.site, node.state) for node in nodes)
    yield _gauge(
        "cto_nodes",
        "Nodes by site and tone: good, busy, warn, bad, unknown, idle.",
        (({"site": site, "tone": tone}, n) for (site, tone), n in sorted(tones.items())),
    )
    yield _gauge(
        "cto_nodes_in_state",
        "Nodes by site and state of life.",
        (({"site": site, "state": state}, n) for (site, state), n in sorted(states.items())),
    )


def _of_clusters(clusters: Sequence[ClusterView]) -> Iterator[str]:
    def of_each(name: str, text: str, value: Callable[[ClusterView], float]) -> str:
        return _gauge(name, text, (({"cluster": c.name, "site": c.site}, value(c)) for c in clusters))

    yield of_each("cto_cluster_ready_nodes", "Nodes of a cluster that are ready.", lambda c: c.ready)
    yield of_each("cto_cluster_nodes", "Nodes that a cluster should have.", lambda c: c.nodes)
    yield of_each(
        "cto_cluster_snapshot_failed",
        "Whether the etcd snapshot that was due last could not be taken.",
        lambda c: int(bool(c.snapshot_problem)),
    )


def _of_the_rest(
    clusters: Sequence[ClusterView], nodes: Sequence[NodeView], queries: Queries, now: datetime
) -> Iterator[str]:
    def alone(name: str, text: str, value: float) -> str:
        return _gauge(name, text, [({}, value)])

    yield _gauge(
        "cto_expiry_timestamp_seconds",
        "When a certificate of a cluster, the licence or the release metadata ends.",
        _ends(clusters, queries),
    )
    yield _gauge(
        "cto_rollouts",
        "Rollouts that are not over, by status.",
        (({"status": status}, n) for status, n in sorted(_rollouts(queries).items())),
    )
    waiting = queries.enrollments(("pending",))
    yield alone("cto_machines_waiting", "Machines that wait to be let in.", len(waiting))
    yield alone("cto_needs", "Things that wait for a person.", len(fleet.needs_of(queries, now)))
    ages = [present.age_seconds(node.seen_at, now) for node in nodes]
    yield alone(
        "cto_oldest_sight_seconds",
        "Age of what is known of the node that was not seen for longest.",
        max((age for age in ages if age is not None), default=0.0),
    )
    yield alone("cto_last_event", "Number of the newest event.", queries.last_event_id())
    yield alone("cto_engine_running", "Whether an engine acts.", int(queries.engine().pid > 0))


def _ends(clusters: Sequence[ClusterView], queries: Queries) -> Iterator[tuple[Mapping[str, str], float]]:
    for cluster in clusters:
        for what, until in sorted(cluster.expires.items()):
            end = present.parse_time(until)
            if end is not None:
                yield {"cluster": cluster.name, "site": cluster.site, "what": what}, end.timestamp()
    for what, until in sorted(queries.expiries().items()):
        end = present.parse_time(until)
        if end is not None:
            yield {"cluster": "", "site": "", "what": what}, end.timestamp()


def _rollouts(queries: Queries) -> Counter[str]:
    return Counter(each.status for each in queries.rollouts() if not each.over)


def _gauge(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{label.translate(_ESCAPES)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inner}}} {value}" if inner else f"{name} {value}")
    return "\n".join(lines) + "\n"
