"""The fleet store: one SQLite file, opened for writing. One object for one thread.

Made of chapters, one file each; here are opening, restoring, and the promise to only observe after a restore.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from controller.store import audit, lock, migrations
from controller.store.adopting import AdoptingChapter
from controller.store.base import Unit, iso
from controller.store.cluster_looks import ClusterLooksChapter
from controller.store.connection import check, transaction, translated, writer
from controller.store.declare import DeclareChapter
from controller.store.enrollments import EnrollmentsChapter
from controller.store.events import EventsChapter
from controller.store.home import Home
from controller.store.kept import KeptChapter
from controller.store.licenses import LicensesChapter
from controller.store.mirrors import MirrorsChapter
from controller.store.nodes import NodesChapter
from controller.store.notifications import NotificationsChapter
from controller.store.pins import PinsChapter
from controller.store.rollouts import RolloutsChapter
from controller.store.runs import RunsChapter
from controller.store.schema import VERSIONS
from controller.store.secretbox import SealKey
from controller.store.secrets import SecretsChapter
from controller.store.sessions import SessionsChapter
from controller.store.snapshots import SnapshotsChapter
from controller.store.steps import StepsChapter
from controller.store.updates import UpdatesChapter
from controller.store.windows import WindowsChapter
from inventory.errors import BusyError, StoreError

if TYPE_CHECKING:  # a program that makes no backup need not load how
    from controller.store import backup as backups


class Store(
    DeclareChapter,
    PinsChapter,
    NodesChapter,
    AdoptingChapter,
    StepsChapter,
    RunsChapter,
    RolloutsChapter,
    EventsChapter,
    EnrollmentsChapter,
    SessionsChapter,
    SnapshotsChapter,
    SecretsChapter,
    KeptChapter,
    WindowsChapter,
    LicensesChapter,
    UpdatesChapter,
    NotificationsChapter,
    MirrorsChapter,
    ClusterLooksChapter,
):
    @classmethod
    def open(
        cls, home: Home, *, now: Callable[[], datetime], new_id: Callable[[], str], write: bool = True
    ) -> "Store":
        """Opens the home's store, making home, key and file if they are missing, and checks the file.

        `write=False` opens an existing one without migrating it: a look, not a start.
        """
        home.create()
        if not write and not home.database.exists():
            raise StoreError(
                "there is no fleet store yet", where=str(home.root), fix="run `cto apply` or `cto lab up`"
            )
        with translated(home.database):
            connection = writer(home.database)
        try:
            if write:
                _make_ready(home, connection, at=iso(now()), new_id=new_id)
            else:
                _look(home, connection)
            epoch = connection.execute("SELECT epoch FROM meta").fetchone()["epoch"]
        except BaseException:
            connection.close()
            raise
        return cls(home, connection, now=now, new_id=new_id, epoch=epoch)

    def close(self) -> None:
        for connection in (self._loose_connection, self._connection):
            if connection is not None:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- audit and backups

    def audit_verify(self, *, anchor: audit.AuditHead | None = None) -> audit.AuditReport:
        """Names the first row that is wrong. Only an `anchor` kept elsewhere shows a tail cut off."""
        with translated(self.home.database):
            return audit.verify(self._connection, anchor=anchor)

    def audit_head(self) -> audit.AuditHead:
        return audit.head(self._connection)

    def backup(self, path: Path, *, actor: str = "operator") -> "backups.Manifest":
        """A checked copy at `path` and its manifest beside it; others may go on writing meanwhile."""
        from controller.store import backup as backups

        made = backups.make(self._connection, path, at=self._stamp())
        with self._unit() as unit:
            unit.event("BackupMade", "controller", f"backup {path.name}", {"sha256": made.sha256})
            unit.audit(audit.Entry(actor, "backup", "store", after=made.sha256))
        return made

    @staticmethod
    def restore(
        path: Path,
        home: Home,
        *,
        now: Callable[[], datetime],
        key: SealKey | None = None,
        actor: str = "operator",
    ) -> "backups.Restored":
        """Raises before anything is changed if the backup is not whole or the key does not open it."""
        from controller.store import backup as backups

        return backups.restore(path, home, now=now, key=key, actor=actor)

    def controller_id(self) -> str:
        """Of this installation; made with its store, kept by a restore."""
        row = self._row("SELECT controller_id FROM meta")
        return str(row["controller_id"]) if row else ""

    # --- observing only, after a restore

    def observe_only(self) -> bool:
        row = self._row("SELECT observe_only FROM meta")
        return bool(row and row["observe_only"])

    def unread(self) -> tuple[str, ...]:
        """Nodes that have to be read before anything may be changed."""
        return tuple(
            row["name"] for row in self._rows("SELECT name FROM nodes WHERE unread = 1 ORDER BY name")
        )

    def mark_observed(self, node: str) -> None:
        """The node's real state was read (and `move` told if it differs). The last one lifts the rule."""
        with self._unit() as unit:
            unit.execute("UPDATE nodes SET unread = 0 WHERE name = ?", [node])
            if unit.one("SELECT 1 FROM nodes WHERE unread = 1") is None:
                _lift(unit, actor="engine", reason="every node was read")

    def leave_observe_only(self, *, actor: str, reason: str, nodes: Sequence[str] | None = None) -> None:
        """The operator's word that `nodes` (None: all that are unread), which don't answer, no longer exist.

        The rule is lifted when no node is left to be read. Nodes that were read since are passed over.
        """
        with self._unit() as unit:
            unread = [row["name"] for row in unit.execute("SELECT name FROM nodes WHERE unread = 1")]
            for name in sorted(unread if nodes is None else set(nodes) & set(unread)):
                unit.execute("UPDATE nodes SET unread = 0 WHERE name = ?", [name])
                unit.event("NodeVouchedFor", f"node/{name}", f"left out of the reading: {reason}")
                unit.audit(audit.Entry(actor, "leave unread", f"node/{name}", before="unread", reason=reason))
            if unit.one("SELECT 1 FROM nodes WHERE unread = 1") is None:
                _lift(unit, actor=actor, reason=reason)


def _lift(unit: Unit, *, actor: str, reason: str) -> None:
    lifted = unit.execute("UPDATE meta SET observe_only = 0 WHERE observe_only = 1")
    if lifted.rowcount == 1:
        unit.event("ObserveOnlyLifted", "controller", reason)
        unit.audit(audit.Entry(actor, "act again", "store", reason=reason))


def _make_ready(home: Home, connection: sqlite3.Connection, *, at: str, new_id: Callable[[], str]) -> None:
    check(connection, home.database)
    _nobody_else(home, connection)
    stamp = at.translate({ord(mark): None for mark in "-:."})
    migrations.migrate(connection, home.database, backups=home.backups, stamp=stamp)
    if connection.execute("SELECT 1 FROM meta").fetchone() is None:
        with transaction(connection, home.database):
            # Asked again under the lock: two programs that start at once must agree on one key.
            if connection.execute("SELECT 1 FROM meta").fetchone() is None:
                _first_row(home, connection, at=at, controller_id=new_id())


def _look(home: Home, connection: sqlite3.Connection) -> None:
    """What may be done to a store that is only looked at: nothing."""
    check(connection, home.database)
    migrations.refuse_other(connection, home.database)


def _nobody_else(home: Home, connection: sqlite3.Connection) -> None:
    """An engine of an older version must not have the tables changed under it."""
    names, engine = migrations.applied(connection), lock.holder(home)
    if names and len(names) < len(VERSIONS) and engine not in (0, os.getpid()):
        raise BusyError(
            f"an engine of an older cto (pid {engine}) is at work on this store",
            where=str(home.root),
            fix="stop it first, then run this again; the store is brought up to date then",
        )


def _first_row(home: Home, connection: sqlite3.Connection, *, at: str, controller_id: str) -> None:
    key = SealKey.load(home) if home.key.exists() else SealKey.create(home)
    connection.execute(
        "INSERT INTO meta (id, controller_id, key_id, created_at) VALUES (1, ?, ?, ?)",
        [controller_id, key.id, at],
    )
    audit.append(connection, audit.Entry("engine", "create", "store", after=controller_id), at=at, epoch=0)
