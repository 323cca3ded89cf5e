"""What a large fleet has besides nodes and events: windows, rollouts, machines that wait, an audit log.

Goes with `pages_fleet`, into the same store, so that no page of the benchmark is cheap because it is empty.
"""

import json
import sqlite3
from datetime import datetime, timedelta

from controller.store import audit
from controller.store.base import iso

_AUDITED, _ROLLOUTS, _WAITING, _WAVES = 20_000, 40, 60, 4
_STAGES = ("committed", "committed", "draining", "planned")


def add(connection: sqlite3.Connection, *, sites: int, nodes: int, now: datetime) -> None:
    """Into an open transaction."""
    _windows(connection, sites, now)
    _rollouts(connection, sites, nodes, now)
    _machines(connection, sites, now)
    for number in range(_AUDITED):
        site = f"site/site-{number % sites:03}"
        entry = audit.Entry("user:olga", "freeze", site, after="2027-01-01", reason="trade fair")
        audit.append(connection, entry, at=iso(now - timedelta(minutes=_AUDITED - number)), epoch=1)


def _windows(connection: sqlite3.Connection, sites: int, now: datetime) -> None:
    """Two windows and a blackout at each site, a freeze at every tenth."""
    nights = {"timezone": "", "minutes": 180, "end": "05:00", "valid_from": "", "valid_until": ""}
    windows = [
        {"name": "weekend", "days": ["Sat", "Sun"], "start": "02:00", **nights},
        {"name": "wednesday", "days": ["Wed"], "start": "22:30", **nights, "end": "", "minutes": 120},
    ]
    blackouts = [
        {"name": "year's end", "start": "12-20", "end": "12-31", "reason": "inventory", "hard": False}
    ]
    zones = ("Europe/Berlin", "America/New_York", "Asia/Singapore", "Australia/Lord_Howe")
    for number in range(sites):
        body = {"timezone": zones[number % len(zones)], "windows": windows, "blackouts": blackouts}
        connection.execute(
            "INSERT INTO calendars VALUES (?, ?, ?)", [f"site-{number:03}", json.dumps(body), iso(now)]
        )
        if number % 10 == 0:
            connection.execute(
                "INSERT INTO freezes (id, site, reason, actor, since) VALUES (?, ?, 'trade fair', ?, ?)",
                [f"freeze-{number}", f"site-{number:03}", "user:olga", iso(now)],
            )


def _rollouts(connection: sqlite3.Connection, sites: int, nodes: int, now: datetime) -> None:
    """The youngest is under way and takes in the whole fleet."""
    for number in range(_ROLLOUTS):
        last = number == _ROLLOUTS - 1
        target, done = {"target": {"talos": f"1.13.{number}"}}, nodes // 2 if last else nodes
        summary = {
            "status": "running" if last else "succeeded",
            "why": "",
            "wave": 2,
            "waves": [_wave(each, sites) for each in range(_WAVES)],
            "nodes": nodes,
            "nodes_done": done,
            "seconds_left": 7200,
        }
        connection.execute(
            "INSERT INTO rollouts (id, status, over, actor, reason, facts, head, summary, created_at, saved_at)"
            " VALUES (?, ?, ?, 'user:olga', 'the monthly release', ?, '{}', ?, ?, ?)",
            [
                *(f"rollout-{number:02}", summary["status"], int(not last), json.dumps(target)),
                *(json.dumps(summary), iso(now - timedelta(days=_ROLLOUTS - number)), iso(now)),
            ],
        )
    for number in range(sites):
        site = f"site-{number:03}"
        body = _cluster(number, sites, nodes)
        connection.execute(
            "INSERT INTO rollout_clusters VALUES (?, ?, ?, ?, ?)",
            [f"rollout-{_ROLLOUTS - 1:02}", number, f"cluster-{number:03}", site, json.dumps(body)],
        )


def _wave(number: int, sites: int) -> dict[str, object]:
    return {
        "number": number + 1,
        "state": ("done", "running", "waiting", "waiting")[number],
        "clusters": sites // _WAVES,
        "succeeded": sites // _WAVES if number == 0 else 0,
        "failed": 0,
        "cancelled": 0,
        "bake_seconds_left": 0,
        "approved_by": "",
    }


def _cluster(number: int, sites: int, nodes: int) -> dict[str, object]:
    wave = number * _WAVES // sites
    members = [f"node-{each:05}" for each in range(number, nodes, sites)]
    stage = _STAGES[wave]
    return {
        "name": f"cluster-{number:03}",
        "site": f"site-{number:03}",
        "wave": wave,
        "phase": ("succeeded", "running", "pending", "pending")[wave],
        "hops": [{"kind": "talos", "source": "1.13.8", "version": "1.13.9"}],
        "nodes": [
            {"name": name, "control_plane": place < 3, "stage": stage, "talos": "1.13.8"}
            for place, name in enumerate(members)
        ],
    }


def _machines(connection: sqlite3.Connection, sites: int, now: datetime) -> None:
    """That ask to join."""
    connection.execute(
        "INSERT INTO tokens VALUES ('token-1', 'site-000', 'worker', 'k', x'00', 1000, 1000, 'user:olga', ?, ?, '')",
        [iso(now), iso(now + timedelta(days=1))],
    )
    hardware = json.dumps({"serial": "ABC1234", "product": "PowerEdge R660", "mac": "52:54:00:00:00:01"})
    for number in range(_WAITING):
        connection.execute(
            "INSERT INTO enrollments (id, state, token, site, role, claimed, node_key, ssh_key, ssh_port, hardware,"
            " words, session, request, address, first_at, seen_at)"
            " VALUES (?, 'pending', 'token-1', ?, 'worker', ?, ?, 'ssh-ed25519 AAAA', 22, ?, ?, 's', 'r', ?, ?, ?)",
            [
                *(f"machine-{number:03}", f"site-{number % sites:03}", f"new-{number:03}", f"key-{number}"),
                *(hardware, "apple river stone cloud lamp seven", f"10.0.1.{number}", iso(now), iso(now)),
            ],
        )
