"""Judges a rollout in the lab by what its machines saw, and by the store: nothing that the controller says of itself.

Used by `benchmarks.rollout_lab` and its small brother in the end-to-end tests. Orders nothing.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from iso.lab import client

ENDED = ("RolloutNodeCommitted", "RolloutNodeRolledBack", "RolloutNodeNeedsHands", "RolloutNodeFailed")
DISRUPTIVE = ("Upgrade", "Reboot", "Rollback")


@dataclass(frozen=True)
class Span:
    """One node's way through one hop, in seconds since 1970."""

    node: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Opening:
    """One window of one site, as it was written; the site's own delay at its start is not counted."""

    start: float
    end: float


def rows(home: Path, sql: str, *values: Any) -> list[sqlite3.Row]:
    connection = sqlite3.connect(f"file:{home / 'fleet.db'}?mode=ro", uri=True, timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def spans(home: Path, rollout: str) -> list[Span]:
    """From each start of a node to its end. One whose end nobody told of yet is left out."""
    begun: dict[str, float] = {}
    found = []
    for event in rows(home, "SELECT * FROM events WHERE subject LIKE 'node/%' ORDER BY id"):
        if json.loads(event["data"]).get("rollout") != rollout:
            continue
        name, at = event["subject"].removeprefix("node/"), datetime.fromisoformat(event["at"]).timestamp()
        if event["kind"] == "RolloutNodeStarted":
            begun[name] = at
        elif event["kind"] in ENDED and name in begun:
            found.append(Span(name, begun.pop(name), at))
    return found


def deeds(home: Path, nodes: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What each machine was told and did, by the lab's own account, without what only reads."""
    found = {}
    for node in nodes:
        answer = client.command(home, {"op": "log", "machine": node, "deeds": True, "limit": 100_000})
        # A fault that was armed says with `at` for which version.
        found[node] = [event for event in answer["events"] if isinstance(event["at"], float)]
    return found


def planes_at_once(
    found: Sequence[Span],
    told: Mapping[str, Sequence[Mapping[str, Any]]],
    planes: Mapping[str, str],
    since: float = 0.0,
) -> list[str]:
    """Control planes of one cluster that were on their way at once, or whose etcd was away at once.

    `planes`: each control plane and its cluster.
    """
    away = [span for span in found if span.node in planes]
    for node in planes:
        away += _away(node, [each for each in told.get(node, ()) if each["at"] >= since])
    away.sort(key=lambda span: span.start)
    return [
        f"{one.node} and {two.node} at {one.start:.0f}"
        for i, one in enumerate(away)
        for two in away[i + 1 :]
        if two.start < one.end and one.node != two.node and planes[one.node] == planes[two.node]
    ]


def _away(node: str, told: Sequence[Mapping[str, Any]]) -> Iterable[Span]:
    """From each order to restart until its etcd ran again."""
    left = 0.0
    for each in told:
        restarts = each["event"] == "talos" and each["call"] in DISRUPTIVE and each["status"] == "OK"
        if restarts and not left:
            left = each["at"]
        elif each["event"] == "etcd-running" and left:
            yield Span(node, left, each["at"])
            left = 0.0


def outside(
    found: Sequence[Span],
    told: Mapping[str, Sequence[Mapping[str, Any]]],
    openings: Mapping[str, Sequence[Opening]],
    site_of: Mapping[str, str],
    since: float,
) -> list[str]:
    """Nodes that were begun while their site was closed, and what disrupted a node that was not begun in time."""
    problems = [
        f"{span.node} was begun at {_clock(span.start)}"
        for span in found
        if not is_open(span.start, openings[site_of[span.node]])
    ]
    for node, events in told.items():
        ways = [span for span in found if span.node == node]
        for each in events:
            at = each["at"]
            if at < since or each["event"] != "talos" or each["call"] not in DISRUPTIVE:
                continue
            if not is_open(at, openings[site_of[node]]) and not any(w.start <= at <= w.end for w in ways):
                problems.append(f"{each['call']} of {node} at {_clock(at)}")
    return problems


def is_open(at: float, openings: Iterable[Opening]) -> bool:
    return any(one.start <= at < one.end for one in openings)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def restarts(told: Sequence[Mapping[str, Any]], since: float) -> tuple[Counter[str], Counter[str]]:
    """(how often each version was installed, how often each was booted) since then."""
    late = [each for each in told if each["at"] >= since]
    installed = Counter(str(each["version"]) for each in late if each["event"] == "talos-installed")
    booted = Counter(str(each["version"]) for each in late if each["event"] == "talos-boot")
    return installed, booted


def twice(
    told: Mapping[str, Sequence[Mapping[str, Any]]], since: float, *, bad: Collection[str] = ()
) -> list[str]:
    """Versions that a machine installed, or booted into, more than once. Those that are `bad` boot the old one again."""
    problems = []
    for node, events in told.items():
        for what, counts in zip(("installed", "booted"), restarts(events, since), strict=True):
            if what == "booted" and node in bad:
                continue
            problems += [f"{node} {what} {version} {n} times" for version, n in counts.items() if n > 1]
    return problems


def whole(home: Path) -> list[str]:
    """What is wrong with the store; the audit chain is verified by the program itself."""
    problems = [] if rows(home, "PRAGMA integrity_check")[0][0] == "ok" else ["the file is damaged"]
    if rows(home, "PRAGMA foreign_key_check"):
        problems.append("something points to nothing")
    sql = "SELECT node, step, attempt, count(*) n FROM rollout_acts GROUP BY rollout, key HAVING n > 1"
    return problems + [f"{row['node']} {row['step']} was ordered twice" for row in rows(home, sql)]


def alternating(
    now: datetime, sites: Sequence[str], *, opened: int, closed: int, hours: int = 3
) -> tuple[list[dict[str, Any]], dict[str, list[Opening]]]:
    """Windows of `opened` minutes with `closed` minutes between them, half of the sites half a period later:
    as documents of a site file, and as the moments that they mean.
    """
    begin = now.astimezone(UTC).replace(second=0, microsecond=0)
    documents: list[dict[str, Any]] = []
    openings: dict[str, list[Opening]] = {site: [] for site in sites}
    for half, names in enumerate((sites[::2], sites[1::2])):
        if not names:
            continue
        for number in range(-half, hours * 60 // (opened + closed)):
            start = begin + timedelta(minutes=number * (opened + closed) + half * (opened + closed) // 2)
            end = start + timedelta(minutes=opened)
            documents.append(_window(f"w{half}-{number}-{begin:%H%M}", names, start, end))
            for site in names:
                openings[site].append(Opening(start.timestamp(), end.timestamp()))
    return documents, openings


def _window(name: str, sites: Sequence[str], start: datetime, end: datetime) -> dict[str, Any]:
    day = f"{start:%Y-%m-%d}"
    spec = {
        "appliesTo": {"sites": list(sites)}, "timezone": "UTC", "days": [f"{start:%a}"],
        "start": f"{time(start.hour, start.minute):%H:%M}", "end": f"{time(end.hour, end.minute):%H:%M}",
        "validFrom": day, "validUntil": day,
    }  # fmt: skip
    return {
        "apiVersion": "fleet/v1", "kind": "MaintenanceWindow", "metadata": {"name": name}, "spec": spec,
    }  # fmt: skip
