"""The fleet in the text format of Prometheus. A few gauges of what is known; judges nothing itself."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from web import fleet, present
from web.ports import Queries

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def metrics_text(queries: Queries, now: datetime) -> str:
    """Sites, clusters and nodes by how they are shown, what needs somebody, and ages."""
    nodes, clusters = queries.nodes(), queries.clusters()
    tones = Counter((node.site, present.node_badge(node, now).tone) for node in nodes)
    states = Counter((node.site, node.state) for node in nodes)
    ages = [present.age_seconds(node.seen_at, now) for node in nodes]
    return "".join(
        [
            _gauge(
                "cto_nodes",
                "Nodes by site and tone: good, busy, warn, bad, unknown, idle.",
                (({"site": site, "tone": tone}, n) for (site, tone), n in sorted(tones.items())),
            ),
            _gauge(
                "cto_nodes_in_state",
                "Nodes by site and state of life.",
                (({"site": site, "state": state}, n) for (site, state), n in sorted(states.items())),
            ),
            _gauge(
                "cto_cluster_ready_nodes",
                "Nodes of a cluster that are ready.",
                (({"cluster": c.name, "site": c.site}, c.ready) for c in clusters),
            ),
            _gauge(
                "cto_cluster_nodes",
                "Nodes that a cluster should have.",
                (({"cluster": c.name, "site": c.site}, c.nodes) for c in clusters),
            ),
            _gauge("cto_needs", "Things that wait for a person.", [({}, len(fleet.needs_of(queries, now)))]),
            _gauge(
                "cto_oldest_sight_seconds",
                "Age of what is known of the node that was not seen for longest.",
                [({}, max((age for age in ages if age is not None), default=0.0))],
            ),
            _gauge("cto_last_event", "Number of the newest event.", [({}, queries.last_event_id())]),
            _gauge("cto_engine_running", "Whether an engine acts.", [({}, int(queries.engine().pid > 0))]),
        ]
    )


def _gauge(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{label.translate(_ESCAPES)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inner}}} {value}" if inner else f"{name} {value}")
    return "\n".join(lines) + "\n"
