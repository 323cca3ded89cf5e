"""Rollouts as they are read, by the engine and by pages alike. Writes nothing."""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inventory.errors import OperatorError
from web.ports import RolloutView

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]


@dataclass(frozen=True, slots=True)
class RolloutRow:
    id: str
    status: str
    over: bool  # nothing is under way, and nothing will be begun
    actor: str
    reason: str
    rollback_of: str
    facts: Mapping[str, Any]
    head: str = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)
    created_at: str = ""
    saved_at: str = ""
    finished_at: str = ""


@dataclass(frozen=True, slots=True)
class ActRow:
    """One effect that was ordered; `result` is empty while nobody knows."""

    key: str
    rollout: str
    cluster: str
    node: str
    step: str
    attempt: int
    epoch: int
    began_at: str
    ended_at: str
    result: str
    detail: str


@dataclass(frozen=True, slots=True)
class CommandRow:
    id: str
    rollout: str
    verb: str
    actor: str
    reason: str
    cluster: str
    wave: int
    at: str
    obeyed_at: str


def rollout_row(row: sqlite3.Row) -> RolloutRow:
    values = dict(row)
    for name in ("facts", "summary"):
        values[name] = json.loads(values[name])
    return RolloutRow(**{**values, "over": bool(values["over"])})


def act_row(row: sqlite3.Row) -> ActRow:
    return ActRow(**dict(row))


def command_row(row: sqlite3.Row) -> CommandRow:
    return CommandRow(**dict(row))


_AT_WORK = """SELECT c.cluster, c.rollout FROM rollouts r JOIN rollout_clusters c ON c.rollout = r.id
    WHERE r.over = 0 AND json_extract(c.body, '$.phase') IN ('checking', 'running')"""
_VIEW = """SELECT r.id, r.status, r.over, r.actor, r.reason, r.rollback_of, r.facts, r.summary, r.created_at,
    r.saved_at, r.finished_at,
    coalesce((SELECT group_concat(c.verb, ', ') FROM rollout_commands c
        WHERE c.rollout = r.id AND c.obeyed_at = ''), '') AS ordered
FROM rollouts r"""

_OLDER = "(r.created_at, r.rowid) < (SELECT b.created_at, b.rowid FROM rollouts b WHERE b.id = ?)"
_SITES = "SELECT 1 FROM rollout_clusters c WHERE c.rollout = r.id AND c.site"
_THESE = "(SELECT value FROM json_each(?))"
_INSIDE = f"EXISTS ({_SITES} IN {_THESE}) AND NOT EXISTS ({_SITES} NOT IN {_THESE})"


def views(
    rows: Rows, limit: int, before: str = "", within: Collection[str] | None = None
) -> tuple[RolloutView, ...]:
    """Youngest first; of those older than `before`, and that concern no other sites than those `within`."""
    every, values = "", list[Any]()
    if before:
        if not rows("SELECT 1 FROM rollouts WHERE id = ?", [before]):
            raise no_rollout(before)
        every += f" AND {_OLDER}"
        values.append(before)
    if within is not None:
        every += f" AND {_INSIDE}"
        values += [json.dumps(sorted(within))] * 2
    sql = f"{_VIEW} WHERE true{every} ORDER BY r.created_at DESC, r.rowid DESC LIMIT ?"
    return tuple(map(_view, rows(sql, [*values, limit])))


def view(rows: Rows, rollout: str) -> RolloutView:
    found = rows(f"{_VIEW} WHERE r.id = ?", [rollout])
    if not found:
        raise no_rollout(rollout)
    return _view(found[0])


def no_rollout(rollout: str) -> OperatorError:
    return OperatorError(f"there is no rollout {rollout!r}", fix="see `cto rollout history`")


def clusters(rows: Rows, rollout: str, cluster: str = "") -> tuple[Mapping[str, Any], ...]:
    """Each cluster with its nodes, or only the one. Defaults are filled in, so that every key is there."""
    one = " AND cluster = ?" if cluster else ""
    sql = f"SELECT body FROM rollout_clusters WHERE rollout = ?{one} ORDER BY position"  # noqa: S608 -- no value in it
    found = rows(sql, [rollout, cluster] if cluster else [rollout])
    return tuple(_cluster(json.loads(row["body"])) for row in found)


def sites(rows: Rows, rollout: str) -> tuple[str, ...]:
    """Those of its clusters."""
    found = rows("SELECT DISTINCT site FROM rollout_clusters WHERE rollout = ? ORDER BY site", [rollout])
    return tuple(row["site"] for row in found)


def at_work(rows: Rows, cluster: str = "") -> dict[str, str]:
    """Cluster → the rollout that changes its nodes now."""
    one = "AND c.cluster = ?" if cluster else ""
    found = rows(f"{_AT_WORK} {one} ORDER BY r.created_at, r.rowid, c.position", [cluster] if cluster else [])
    return {row["cluster"]: row["rollout"] for row in found}


def _view(row: sqlite3.Row) -> RolloutView:
    return RolloutView(
        id=row["id"],
        status=row["status"],
        over=bool(row["over"]),
        actor=row["actor"],
        reason=row["reason"],
        rollback_of=row["rollback_of"],
        created_at=row["created_at"],
        saved_at=row["saved_at"],
        finished_at=row["finished_at"],
        ordered=row["ordered"],
        facts=json.loads(row["facts"]),
        summary=json.loads(row["summary"]),
    )


def _cluster(body: Mapping[str, Any]) -> Mapping[str, Any]:
    hops = body["hops"]
    at = hops[min(int(body.get("hop", 0)), len(hops) - 1)]
    return {
        "name": body["name"],
        "site": body["site"],
        "wave": int(body["wave"]) + 1,
        "phase": body.get("phase", "pending"),
        "outcome": body.get("outcome", ""),
        "reason": body.get("reason", ""),
        "waits": body.get("waits", ""),
        "red": body.get("red", ""),
        "hop": int(body.get("hop", 0)) + 1,
        "hops": [{name: hop.get(name, "") for name in ("kind", "source", "version")} for hop in hops],
        "to": at["version"],
        "nodes": [_node(each) for each in body["nodes"]],
    }


def _node(body: Mapping[str, Any]) -> Mapping[str, Any]:
    texts = ("talos", "kubernetes", "source", "step", "waits", "reason")
    return {
        "name": body["name"],
        "control_plane": bool(body["control_plane"]),
        "stage": body.get("stage", "planned"),
        "mode": body.get("mode", "idle"),
        "attempt": int(body.get("attempt", 0)),
        "cordoned": bool(body.get("cordoned", False)),
        **{name: body.get(name, "") for name in texts},
    }
