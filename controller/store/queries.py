"""The read side: `web.ports.Queries` over read-only connections. Plain sqlite3: `cto status` starts fast.

Safe to use from several threads: each gets its own connection. Where no store exists yet, an empty fleet is
shown. Writes nothing and repairs nothing.
"""

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from controller.store import lock, migrations, rollouts_read, windows_read
from controller.store.connection import check, reader, translated
from controller.store.enrollments_read import EnrollmentQueries
from controller.store.home import Home
from controller.store.node_views import NodeViews, node_view
from controller.store.schema import VERSIONS
from inventory.errors import UnknownName
from inventory.lifecycle import NodeState
from web.ports import ClusterView, EngineView, EventView, NodeView, RolloutView, RunView, SiteView

if TYPE_CHECKING:
    from inventory.calendar import Freeze, Opened, Override, SiteCalendar

_NODES = """
SELECT n.*, coalesce(s.step, '') AS running, coalesce(s.started_at, '') AS started_at,
       coalesce(p.done, 0) AS done, coalesce(p.total, 0) AS total
FROM nodes n
LEFT JOIN steps s ON s.kind = 'node' AND s.subject = n.name AND s.outcome = 'started'
LEFT JOIN progress p ON p.subject = 'node/' || n.name AND p.step = s.step
"""
_CLUSTERS = """
SELECT c.*, count(n.name) AS nodes, coalesce(sum(n.state = ?), 0) AS ready
FROM clusters c LEFT JOIN nodes n ON n.cluster = c.name GROUP BY c.name ORDER BY c.name
"""
_SITES = """
SELECT s.name, s.timezone, s.labels, count(n.name) AS nodes, coalesce(sum(n.state = ?), 0) AS ready
FROM sites s LEFT JOIN nodes n ON n.site = s.name GROUP BY s.name ORDER BY s.name
"""


class StoreQueries(EnrollmentQueries):
    def __init__(self, home: Home) -> None:
        self._home = home
        self._local = threading.local()
        self._views = NodeViews()
        self._opened: list[sqlite3.Connection] = []

    def close(self) -> None:
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def engine(self) -> EngineView:
        row = self._one("SELECT engine_pid, engine_since, observe_only FROM meta")
        if row is None:
            return EngineView()
        pid = lock.holder(self._home)
        if pid != row["engine_pid"]:  # it died, or has not written itself down yet
            return EngineView(observe_only=bool(row["observe_only"]))
        return EngineView(pid=pid, since=row["engine_since"], observe_only=bool(row["observe_only"]))

    def sites(self) -> Sequence[SiteView]:
        clusters: dict[str, list[str]] = {}
        for row in self._all("SELECT name, site FROM clusters ORDER BY name"):
            clusters.setdefault(row["site"], []).append(row["name"])
        return tuple(
            SiteView(
                row["name"],
                row["timezone"],
                tuple(clusters.get(row["name"], ())),
                row["nodes"],
                row["ready"],
                json.loads(row["labels"]),
            )
            for row in self._all(_SITES, [NodeState.READY])
        )

    def clusters(self) -> Sequence[ClusterView]:
        expires: dict[str, dict[str, str]] = {}
        for row in self._all("SELECT cluster, what, until FROM expiries ORDER BY cluster, what"):
            expires.setdefault(row["cluster"], {})[row["what"]] = row["until"]
        return tuple(
            ClusterView(
                name=row["name"],
                site=row["site"],
                state=row["state"],
                endpoint=row["endpoint"],
                kubernetes=row["kubernetes"],
                nodes=row["nodes"],
                ready=row["ready"],
                problem=row["problem"],
                changed_at=row["changed_at"],
                verified_at=row["verified_at"],
                expires=expires.get(row["name"], {}),
            )
            for row in self._all(_CLUSTERS, [NodeState.READY])
        )

    def nodes(self) -> Sequence[NodeView]:
        return self._views.of(self._all(f"{_NODES} ORDER BY n.site, n.cluster, n.name"))

    def node(self, name: str) -> NodeView:
        row = self._one(f"{_NODES} WHERE n.name = ?", [name])
        if row is None:
            raise UnknownName(
                f"there is no node {name!r}", fix="see `cto node list` for the nodes that are known"
            )
        return node_view(row)

    def runs(self, limit: int = 20) -> Sequence[RunView]:
        """Youngest first."""
        return tuple(map(_run_view, self._all("SELECT * FROM runs ORDER BY rowid DESC LIMIT ?", [limit])))

    def run(self, run_id: str) -> RunView:
        row = self._one("SELECT * FROM runs WHERE id = ?", [run_id])
        if row is None:
            raise UnknownName(
                f"there is no run {run_id!r}", fix="see `cto status` for the runs that are known"
            )
        return _run_view(row)

    def plan(self, run_id: str) -> Mapping[str, Any] | None:
        """The plan of a run with its digest, once it was made."""
        row = self._one("SELECT digest, body, made_at FROM plans WHERE run = ?", [run_id])
        return None if row is None else {**dict(row), "body": json.loads(row["body"])}

    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]:
        if subject:
            sql = "SELECT * FROM events WHERE id > ? AND subject = ? ORDER BY id LIMIT ?"
            rows = self._all(sql, [after, subject, limit])
        else:
            rows = self._all("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", [after, limit])
        return tuple(EventView(**{**dict(row), "data": json.loads(row["data"])}) for row in rows)

    def last_event_id(self) -> int:
        row = self._one("SELECT max(id) AS id FROM events")
        return int(row["id"] or 0) if row else 0

    def facts(self, node: str, limit: int = 2) -> Sequence[Mapping[str, Any]]:
        """Newest first: taken_at, last_seen, digest and body."""
        rows = self._all(
            "SELECT taken_at, last_seen, digest, body FROM facts WHERE node = ? ORDER BY id DESC LIMIT ?",
            [node, limit],
        )
        return tuple({**dict(row), "body": json.loads(row["body"])} for row in rows)

    def expiries(self) -> Mapping[str, str]:
        rows = self._all("SELECT what, until FROM expiries WHERE cluster = '' ORDER BY what")
        return {row["what"]: row["until"] for row in rows}

    def rollouts(self, limit: int = 20) -> Sequence[RolloutView]:
        """Youngest first."""
        return rollouts_read.views(self._all, limit)

    def rollout(self, rollout: str) -> RolloutView:
        return rollouts_read.view(self._all, rollout)

    def rollout_clusters(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        return rollouts_read.clusters(self._all, rollout)

    def rollout_sites(self, rollout: str) -> Sequence[str]:
        return rollouts_read.sites(self._all, rollout)

    def time_floor(self) -> str:
        """The latest time that was written down: a clock that shows less is wrong."""
        row = self._one("SELECT max(at) AS at FROM (SELECT at FROM audit ORDER BY seq DESC LIMIT 1)")
        return str(row["at"] or "") if row else ""

    def calendars(self) -> "Sequence[SiteCalendar]":
        """What the site files said last of each site's windows and blackouts."""
        return windows_read.calendars(self._all)

    def freezes(self, at: str) -> "Sequence[Freeze]":
        """Neither lifted nor over `at` that time."""
        return windows_read.freezes(self._all, at)

    def overrides(self, at: str) -> "Sequence[Override]":
        return windows_read.overrides(self._all, at)

    def opened(self, since: str) -> "Sequence[Opened]":
        """Occurrences of windows that were open then or later, while a controller ran."""
        return windows_read.opened(self._all, since)

    def time_state(self) -> tuple[str, str]:
        """(floor, why the clock is not trusted), each may be empty."""
        return windows_read.time_state(self._all)

    def data_version(self) -> int:
        """Another number as soon as anybody changed anything, progress included; only for this thread."""
        row = self._one("PRAGMA data_version")
        return int(row[0]) if row else 0

    def check(self) -> None:
        """Raises StoreError if the file is damaged, for `cto doctor`."""
        with translated(self._home.database):
            connection = self.connected()
        check(connection, self._home.database)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """For modules of this folder that read a chapter's tables."""
        return self._all(sql, values)

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with translated(self._home.database):
            return self.connected().execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        found = self._all(sql, values)
        return found[0] if found else None

    def connected(self) -> sqlite3.Connection:
        """This thread's connection to the file that is the store now: a new one, or one restored."""
        path = self._home.database
        file = path.stat().st_ino if path.exists() else 0
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._local.file == file:
            return connection
        connection = reader(path) if file else _empty()
        self._opened.append(connection)
        if file:
            migrations.refuse_other(connection, path)
        self._local.connection, self._local.file = connection, file
        return connection


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    migrations.teach(connection)
    for _, statements in VERSIONS:
        for statement in statements:
            connection.execute(statement)
    return connection


def _run_view(row: sqlite3.Row) -> RunView:
    return RunView(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        selection=selection_text(json.loads(row["selection"])),
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        summary=json.loads(row["summary"]),
    )


def selection_text(selection: Mapping[str, Any]) -> str:
    """As an operator would say it: "sites berlin, munich; labels rack=7", or "everything"."""
    parts = [(name, _words(value)) for name, value in selection.items() if value]
    return "; ".join(f"{name} {words}" for name, words in parts) or "everything"


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
