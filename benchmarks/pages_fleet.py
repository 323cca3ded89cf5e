"""A store of a large fleet, written straight into its tables: sites, clusters, nodes, events; `pages_past` adds
what else there is. Measures nothing.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import pages_past
from controller.store import Home, Store
from controller.store.base import iso
from controller.store.connection import writer
from inventory.lifecycle import ClusterState, NodeState

_PROBLEM = "no answer within 10 s\n  → check the machine's power and network, then run cto apply again"
_KINDS = ("StepStarted", "StepFinished", "FactsTaken", "Verified")
_BATCH = 50_000


def make(root: Path, *, sites: int, nodes: int, events: int, seed: int = 7) -> Home:
    """The home of that fleet; one cluster a site, one node in a hundred with a problem."""
    home, chance, now = Home(root), random.Random(seed), datetime.now(UTC)
    with Store.open(home, now=lambda: now, new_id=lambda: "0" * 16):
        pass
    connection = writer(home.database)
    connection.execute("BEGIN IMMEDIATE")
    seen = iso(now - timedelta(seconds=60))
    for number in range(sites):
        name = f"site-{number:03}"
        labels = json.dumps({"region": ("eu", "us", "ap")[number % 3], "tier": "edge"})
        connection.execute("INSERT INTO sites VALUES (?, 'acme', 'Europe/Berlin', ?)", [name, labels])
        connection.execute(
            "INSERT INTO clusters (name, site, endpoint, kubernetes, state, changed_at, verified_at)"
            " VALUES (?, ?, ?, '1.36.3', ?, ?, ?)",
            [f"cluster-{number:03}", name, f"https://10.{number}.0.1:6443", ClusterState.READY, seen, seen],
        )
    record = json.dumps(
        {"disk": {"path": "/dev/nvme0n1", "model": "x" * 20}, "image": "a" * 64, "talos": "v1.13.9"}
    )
    rows = [
        (
            f"node-{number:05}",
            f"site-{number % sites:03}",
            f"cluster-{number % sites:03}",
            "controlplane" if number // sites < 3 else "worker",
            1,
            NodeState.READY,
            f"10.{number % sites}.{number // sites // 250}.{number // sites % 250 + 2}",
            record,
            _PROBLEM if chance.random() < 0.01 else "",
            seen,
            seen,
            "v1.13.9",
            "dell-r660",
        )
        for number in range(nodes)
    ]
    connection.executemany(
        "INSERT INTO nodes (name, site, cluster, role, declared, state, address, record, problem, changed_at,"
        " seen_at, talos, profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    for start in range(0, events, _BATCH):
        batch = [
            (
                iso(now - timedelta(seconds=events - each)),
                _KINDS[each % 4],
                f"node/node-{each % nodes:05}",
                "verify by fresh reads",
            )
            for each in range(start, min(events, start + _BATCH))
        ]
        connection.executemany("INSERT INTO events (at, kind, subject, message) VALUES (?, ?, ?, ?)", batch)
    pages_past.add(connection, sites=sites, nodes=nodes, now=now)
    connection.execute("COMMIT")
    connection.close()
    return home
