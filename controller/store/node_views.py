"""The nodes as views. All of them are read once; afterwards only those that changed, by the table of changes.

Making ten thousand frozen values, with JSON in them, takes half a second; following takes a few milliseconds.
Keeps no row that is gone.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from web.ports import NodeView

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]

_COLUMNS = """n.*, coalesce(s.step, '') AS running, coalesce(s.started_at, '') AS started_at,
    coalesce(p.done, 0) AS done, coalesce(p.total, 0) AS total"""
_BESIDES = """LEFT JOIN steps s ON s.kind = 'node' AND s.subject = n.name AND s.outcome = 'started'
    LEFT JOIN progress p ON p.subject = 'node/' || n.name AND p.step = s.step"""
NODES = f"SELECT {_COLUMNS} FROM nodes n {_BESIDES}"  # noqa: S608 -- constants
# One statement each: what changed and the number up to which it did are of the same moment.
_ALL = f"""SELECT (SELECT coalesce(max(number), 0) FROM node_changes) AS number, {_COLUMNS}
    FROM nodes n {_BESIDES}"""  # noqa: S608 -- constants
_LATER = f"""SELECT c.number, c.node, {_COLUMNS} FROM node_changes c LEFT JOIN nodes n ON n.name = c.node
    {_BESIDES} WHERE c.number > ? ORDER BY c.number"""  # noqa: S608 -- constants


class NodeViews:
    """May be asked from several threads: one reads, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._store: object = None
        self._number = 0
        self._places: dict[str, int] = {}
        self._whole: tuple[NodeView, ...] = ()

    def now(self, store: object, rows: Rows) -> tuple[NodeView, ...]:
        """By site, cluster and name; the same value for the same fleet. A restored store is another."""
        with self._lock:
            if self._store is None or store != self._store:
                found = rows(_ALL, [])
                self._number = found[0]["number"] if found else 0
                self._arrange(map(node_view, found))
                self._store = store
            else:
                self._follow(rows(_LATER, [self._number]))
            return self._whole

    def _follow(self, changes: Sequence[sqlite3.Row]) -> None:
        if not changes:
            return
        whole = list(self._whole)
        moved: dict[str, NodeView | None] = {}  # where the order is another afterwards
        for row in changes:
            view = node_view(row) if row["name"] is not None else None
            place = self._places.get(row["node"])
            if view is not None and place is not None and _order(view) == _order(whole[place]):
                whole[place] = view
            else:
                moved[row["node"]] = view
        if moved:
            stay = [view for view in whole if view.name not in moved]
            self._arrange([*stay, *(view for view in moved.values() if view is not None)])
        else:
            self._whole = tuple(whole)
        self._number = changes[-1]["number"]

    def _arrange(self, views: Iterable[NodeView]) -> None:
        self._whole = tuple(sorted(views, key=_order))
        self._places = {view.name: place for place, view in enumerate(self._whole)}


def _order(view: NodeView) -> tuple[str, str, str]:
    return view.site, view.cluster, view.name


def node_view(row: sqlite3.Row) -> NodeView:
    return NodeView(
        name=row["name"],
        site=row["site"],
        cluster=row["cluster"],
        role=row["role"],
        state=row["state"],
        address=row["address"],
        problem=row["problem"],
        step=row["running"],
        step_started_at=row["started_at"],
        done=row["done"],
        total=row["total"],
        talos=row["talos"],
        profile=row["profile"],
        seen_at=row["seen_at"],
        changed_at=row["changed_at"],
        host_key_words=row["key_words"],
        ssh_port=row["ssh_port"],
        jump=row["jump"],
        record=json.loads(row["record"]),
        labels=json.loads(row["labels"]),
    )
