"""SQLite connections of the fleet store and what its errors mean to the operator. Holds no SQL of tables.

Three kinds: the writer (every commit is on the disk), the loose writer (progress; the last moments may be
lost, never the file), and the reader (read-only, own connection per thread, opened in `queries`).
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.store.home import PRIVATE_FILE
from inventory.errors import BusyError, FleetError, StoreError

BUSY_MS = 10_000


class DiskFailedError(StoreError):
    """The disk did not do what it was told. What SQLite wrote last may or may not be there."""


class DiskFullError(StoreError):
    """The disk is full; the caller may give back the reserved space and try once more."""


def writer(path: Path, *, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """Commits are durable when they return."""
    _create_private(path)
    connection = _connect(path, busy_ms)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def loose_writer(path: Path, *, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """For progress: commits don't wait for the disk.

    NORMAL never syncs on commit in WAL mode. OFF would also skip the syncs of a checkpoint and could
    corrupt the file; with checkpoints left to the writer the two cost the same.
    """
    connection = _connect(path, busy_ms)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def reader(path: Path, *, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """Can't write. May be closed from another thread; is used by one thread only."""
    # SQLite wants to make its shared memory beside the file; where nobody can write, it has to be told so.
    how = "immutable=1" if _unchanging(path) else "mode=ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
    return connection


def _unchanging(path: Path) -> bool:
    """On a file system that is read-only, and with no journal that still has to be read."""
    try:
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False
    return bool(read_only) and not path.with_name(f"{path.name}-wal").exists()


def _connect(path: Path, busy_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=busy_ms / 1000)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA recursive_triggers = ON")
    return connection


def _create_private(path: Path) -> None:
    """The journal files take the permissions of the database: private before SQLite opens it.

    A file that is there is left alone: closing any descriptor of it would drop the locks that other
    connections of this process hold (SQLite, "How To Corrupt An SQLite Database File", 2.2).
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE))


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreError if the file is damaged."""
    with translated(path):
        found = [line for row in connection.execute("PRAGMA quick_check(5)") for line in row[0].splitlines()]
    if found != ["ok"]:
        raise corrupt(path, next((line for line in found if not line.startswith("***")), found[0]))


def corrupt(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the fleet store is damaged ({why})",
        where=str(path),
        fix="nothing was done; run `cto store restore BACKUP` with your latest backup",
    )


def copy_whole(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy as one file without a journal beside it."""
    copy = writer(target)
    try:
        with translated(target):
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """All or nothing. Takes the write lock at the start, so that it can't fail half-way for want of it."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back on some errors
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours, saying what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _explain(error, path) from error


def _explain(error: sqlite3.DatabaseError, path: Path) -> FleetError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError(
            f"another program has kept the fleet store locked for {BUSY_MS // 1000} s",
            where=str(path),
            fix="nothing was changed; try again when it has finished",
        )
    if name == "SQLITE_FULL":
        return DiskFullError(
            "the disk is full", where=str(path), fix="free some disk space, then run the command again"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return corrupt(path, str(error))
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return DiskFailedError(
            f"the fleet store can't be read or written ({error})",
            where=str(path),
            fix="check the disk and the permissions, then start again; it is checked when it is opened",
        )
    return StoreError(f"the fleet store refused ({error})", where=str(path), fix="report this: it is our bug")


def to_json(value: Any) -> str:
    """Canonical enough to compare. Raises for what JSON can't say (NaN, dates) instead of guessing."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):  # frozen mappings
        return dict(value)
    raise TypeError(f"{type(value).__name__} can't be stored as JSON")
