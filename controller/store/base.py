"""What the chapters of the store share: the connections, time, ids, and one transaction with its traces."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.store import audit
from controller.store.connection import (
    DiskFailedError,
    loose_writer,
    to_json,
    transaction,
    translated,
)
from controller.store.home import Home
from inventory.errors import OperatorError


def iso(moment: datetime) -> str:
    """UTC with milliseconds and a Z: of one width, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Unit:
    """One open transaction: a change, its event and its audit row stand or fall together."""

    connection: sqlite3.Connection
    at: str
    epoch: int

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self.connection.execute(sql, values)

    def one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
        return found

    def event(self, kind: str, subject: str, message: str, data: Mapping[str, Any] | None = None) -> int:
        cursor = self.execute(
            "INSERT INTO events (at, kind, subject, message, data) VALUES (?, ?, ?, ?, ?)",
            [self.at, kind, subject, message, to_json(data or {})],
        )
        return cursor.lastrowid or 0

    def audit(self, entry: audit.Entry) -> None:
        audit.append(self.connection, entry, at=self.at, epoch=self.epoch)


# Table names come from here and never from a caller's text.
TABLES = {"node": "nodes", "cluster": "clusters"}


def must_know(row: Any, kind: str, name: str) -> Any:
    if row is None:
        raise OperatorError(
            f"there is no {kind} {name!r}", fix=f"see `cto status` for the {kind}s that are known"
        )
    return row


def find(unit: Unit, kind: str, name: str) -> sqlite3.Row | None:
    return unit.one(f"SELECT * FROM {TABLES[kind]} WHERE name = ?", [name])  # noqa: S608 -- one of TABLES


def set_state(unit: Unit, kind: str, name: str, state: str) -> None:
    unit.execute(
        f"UPDATE {TABLES[kind]} SET state = ?, problem = '', changed_at = ? WHERE name = ?",  # noqa: S608 -- one of TABLES
        [state, unit.at, name],
    )


class StoreBase:
    """Used from one thread. `epoch` is the engine's, once `start_engine` gave it one."""

    def __init__(
        self,
        home: Home,
        connection: sqlite3.Connection,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        epoch: int,
    ) -> None:
        self.home = home
        self.epoch = epoch
        self._ballast = 0  # bytes to hold in reserve: an engine's, while it is one
        self._connection = connection
        self._loose_connection: sqlite3.Connection | None = None
        self._failed: DiskFailedError | None = None
        self._now = now
        self._new_id = new_id

    @contextmanager
    def _unit(self) -> Iterator[Unit]:
        if self._failed is not None:
            raise self._failed
        try:
            with transaction(self._connection, self.home.database) as connection:
                yield Unit(connection, self._stamp(), self.epoch)
        except DiskFailedError as error:
            # A sync that failed once must not be asked again: the kernel may say yes and have nothing.
            self._failed = error
            raise

    def _stamp(self) -> str:
        return iso(self._now())

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with translated(self.home.database):
            return self._connection.execute(sql, values).fetchall()

    def _row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        found = self._rows(sql, values)
        return found[0] if found else None

    def _loosely(self, sql: str, values: Sequence[Any]) -> None:
        """A write that may be lost with the power: progress, time of last sight."""
        if self._loose_connection is None:
            self._loose_connection = loose_writer(self.home.database)
        with translated(self.home.database):
            self._loose_connection.execute(sql, values)
