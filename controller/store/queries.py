"""The read side: `web.ports.Queries` over read-only connections. Plain sqlite3: `cto status` starts fast.

Safe to use from several threads: each gets its own connection. Where no store exists yet, an empty fleet is
shown. Writes nothing and repairs nothing.
"""

import json
import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from controller.store import events_read, lock, migrations, rollouts_read, runs_read, windows_read
from controller.store.cluster_looks import looks
from controller.store.connection import check, reader, translated
from controller.store.enrollments_read import EnrollmentQueries
from controller.store.home import Home
from controller.store.node_views import NODES, NodeViews, node_view
from controller.store.schema import VERSIONS
from inventory.errors import UnknownName
from inventory.lifecycle import NodeState
from web.events_port import EventSearch, FoundEvents
from web.ports import ClusterView, EngineView, EventView, NodeView, RolloutView, RunView, SiteView

if TYPE_CHECKING:
    from inventory.calendar import Freeze, Opened, Override, SiteCalendar

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
        self._calendars: Mapping[tuple[str, str], SiteCalendar] = {}
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
        failures = {
            row["cluster"]: {"snapshot_problem": row["problem"], "snapshot_good_at": row["good_at"]}
            for row in self._all("SELECT cluster, problem, good_at FROM snapshot_failures")
        }
        seen = looks(self._all)
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
                **failures.get(row["name"], {}),
                **seen.get(row["name"], {}),
            )
            for row in self._all(_CLUSTERS, [NodeState.READY])
        )

    def nodes(self) -> Sequence[NodeView]:
        with translated(self._home.database):
            self.connected()
        return self._views.now(self._local.file, self._all)

    def node(self, name: str) -> NodeView:
        row = self._one(f"{NODES} WHERE n.name = ?", [name])
        if row is None:
            raise UnknownName(
                f"there is no node {name!r}", fix="see `cto node list` for the nodes that are known"
            )
        return node_view(row)

    def runs(self, limit: int = 20, before: str = "") -> Sequence[RunView]:
        """Youngest first."""
        return runs_read.views(self._all, limit, before)

    def run(self, run_id: str) -> RunView:
        return runs_read.view(self._all, run_id)

    def plan(self, run_id: str) -> Mapping[str, Any] | None:
        """The plan of a run with its digest, once it was made."""
        return runs_read.plan(self._all, run_id)

    def events(self, after: int = 0, limit: int = 500, subject: str = "") -> Sequence[EventView]:
        return self.events_among([subject] if subject else None, after=after, limit=limit)

    def recent_events(self, limit: int = 500, before: int = 0, subject: str = "") -> Sequence[EventView]:
        """The newest first."""
        return self.events_among([subject] if subject else None, before=before, limit=limit, newest=True)

    def events_among(
        self,
        subjects: Collection[str] | None,
        *,
        limit: int,
        after: int = 0,
        before: int = 0,
        newest: bool = False,
    ) -> Sequence[EventView]:
        """Of several subjects at once; of everything for None."""
        return events_read.events(
            self._all, subjects=subjects, limit=limit, after=after, before=before, newest=newest
        )

    def search_events(self, asked: EventSearch, subjects: Collection[str] | None) -> FoundEvents:
        """Of several subjects at once, of everything for None."""
        return events_read.search(self._all, asked, subjects)

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

    def feed_problem(self) -> str:
        """Why the last look that the controller took at the release feed by itself failed."""
        row = self._one("SELECT problem FROM feed")
        return str(row["problem"]) if row else ""

    def rollouts(self, limit: int = 20, before: str = "") -> Sequence[RolloutView]:
        """Youngest first."""
        return rollouts_read.views(self._all, limit, before)

    def rollouts_within(self, sites: Collection[str], *, limit: int, before: str) -> Sequence[RolloutView]:
        """Of those that concern no other sites."""
        return rollouts_read.views(self._all, limit, before, sites)

    def rollout(self, rollout: str) -> RolloutView:
        return rollouts_read.view(self._all, rollout)

    def rollout_clusters(self, rollout: str, cluster: str = "") -> Sequence[Mapping[str, Any]]:
        return rollouts_read.clusters(self._all, rollout, cluster)

    def rollout_sites(self, rollout: str) -> Sequence[str]:
        return rollouts_read.sites(self._all, rollout)

    def time_floor(self) -> str:
        """The latest time that was written down: a clock that shows less is wrong."""
        row = self._one("SELECT max(at) AS at FROM (SELECT at FROM audit ORDER BY seq DESC LIMIT 1)")
        return str(row["at"] or "") if row else ""

    def calendars(self) -> "Sequence[SiteCalendar]":
        """What the site files said last of each site's windows and blackouts."""
        self._calendars = windows_read.calendars(self._all, self._calendars)
        return tuple(self._calendars.values())

    def calendar(self, site: str) -> "SiteCalendar | None":
        return windows_read.calendar(self._all, site)

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
