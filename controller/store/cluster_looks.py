"""What was read of clusters last: etcd's members, cordoned nodes, the newest whole snapshot.

Reads no cluster. For people to look at, with its age; nothing is decided by it: an act reads afresh.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.store.base import StoreBase
from controller.store.connection import to_json

Rows = Callable[[str], list[sqlite3.Row]]


class ClusterLooksChapter(StoreBase):
    def note_etcd(self, cluster: str, read: Mapping[str, Any]) -> None:
        """As read now: `web.etcd_seen` says what is in it. May be lost with the power."""
        self._loosely(
            "INSERT INTO cluster_looks (cluster, etcd_at, etcd) VALUES (?, ?, ?)"
            " ON CONFLICT (cluster) DO UPDATE SET etcd_at = excluded.etcd_at, etcd = excluded.etcd",
            [cluster, self._stamp(), to_json(read)],
        )

    def note_cordons(self, cluster: str, nodes: Sequence[str]) -> None:
        """All nodes of it that Kubernetes gives no new work now. May be lost with the power."""
        self._loosely(
            "INSERT INTO cluster_looks (cluster, cordons_at, cordoned) VALUES (?, ?, ?)"
            " ON CONFLICT (cluster) DO UPDATE"
            " SET cordons_at = excluded.cordons_at, cordoned = excluded.cordoned",
            [cluster, self._stamp(), to_json(sorted(nodes))],
        )


def looks(rows: Rows) -> Mapping[str, Mapping[str, Any]]:
    """By cluster, the fields of its `web.ports.ClusterView` that tell of it."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows("SELECT * FROM cluster_looks"):
        mine = found.setdefault(row["cluster"], {})
        if row["etcd_at"]:
            mine["etcd"] = {"at": row["etcd_at"], **json.loads(row["etcd"])}
        if row["cordons_at"]:
            mine["cordons"] = {"at": row["cordons_at"], "nodes": json.loads(row["cordoned"])}
    # With max(), SQLite takes the other columns from the row that has it.
    newest = rows(
        "SELECT cluster, id, node, reason, actor, max(taken_at) AS at FROM snapshots"
        " WHERE problem = '' GROUP BY cluster"
    )
    for row in newest:
        found.setdefault(row["cluster"], {})["snapshot"] = {
            key: row[key] for key in ("id", "at", "node", "reason", "actor")
        }
    return found
