"""Which clusters have no fresh etcd snapshot although one was due, and how old the last good one is."""

from collections.abc import Sequence
from datetime import datetime

from web import present
from web.ports import ClusterView

_STARTED = ("bootstrapped", "accessible", "ready")  # inventory.lifecycle: those whose etcd runs
_DAY = 86_400.0  # seconds; risky work asks for a snapshot that is younger


def without_snapshot(clusters: Sequence[ClusterView], now: datetime) -> list[present.Need]:
    return [
        _need(cluster, now) for cluster in clusters if cluster.snapshot_problem and cluster.state in _STARTED
    ]


def _need(cluster: ClusterView, now: datetime) -> present.Need:
    age = present.age_seconds(cluster.snapshot_good_at, now)
    good = "there is no good one" if age is None else f"the last good one is {present.lasts(age)} old"
    text = (
        f"no etcd snapshot: {cluster.snapshot_problem}; {good}\n"
        f"→ mend that; it is tried again by itself, or at once: cto etcd snapshot {cluster.name}"
    )
    return present.Need(f"cluster/{cluster.name}", text, "warn" if age is not None and age < _DAY else "bad")
