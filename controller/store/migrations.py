"""Brings a store to this program's schema, in one transaction, after a backup copy. Refuses a newer store.

sqlite-utils keeps the list of what was applied. It is imported only when something is to be applied, so
that opening an up-to-date store costs nothing.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.store.connection import copy_whole, transaction
from controller.store.home import private_dir, sync_dir
from controller.store.schema import KNOWN, VERSIONS
from inventory.errors import StoreError

SET = "cto"  # the name of our migrations in sqlite-utils' table


def applied(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The migrations that the file lists, in order; empty for a new file."""
    listed = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone()
    if listed is None:
        return ()
    rows = connection.execute(
        "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY rowid", [SET]
    )
    return tuple(row[0] for row in rows)


def refuse_newer(names: tuple[str, ...], path: Path) -> None:
    unknown = [name for name in names if name not in KNOWN]
    if unknown:
        raise StoreError(
            f"the fleet store was made by a newer cto (it lists {', '.join(unknown)})",
            where=str(path),
            fix="use that cto or a newer one; this one has changed nothing",
        )


def refuse_other(connection: sqlite3.Connection, path: Path) -> None:
    """For those who only look: neither a newer nor an older store is read half right."""
    names = applied(connection)
    refuse_newer(names, path)
    if len(names) < len(VERSIONS):
        raise StoreError(
            "the fleet store was made by an older cto",
            where=str(path),
            fix="run `cto store upgrade`: it keeps a copy, and brings it up to date",
        )


def migrate(connection: sqlite3.Connection, path: Path, *, backups: Path, stamp: str) -> tuple[str, ...]:
    """Applies what is missing and returns its names. `stamp` names the copy taken of an older store."""
    names = applied(connection)
    refuse_newer(names, path)
    if len(names) == len(VERSIONS):
        return ()
    if names:
        _keep_copy(connection, backups / f"before-{VERSIONS[-1][0]}-{stamp}.db")
    with transaction(connection, path):
        # Asked again under the lock: another process may have migrated meanwhile.
        before = applied(connection)
        refuse_newer(before, path)
        _apply(connection)
        return tuple(name for name in applied(connection) if name not in before)


def _apply(connection: sqlite3.Connection) -> None:
    from sqlite_utils import Database, Migrations

    teach(connection)
    migrations = Migrations(SET)
    for name, statements in VERSIONS:
        migrations(name=name)(_runner(statements))
    # No plugins: nothing that happens to be installed beside us may touch the store.
    migrations.apply(Database(connection, execute_plugins=False))


def teach(connection: sqlite3.Connection) -> None:
    """Gives the connection the functions that the statements of `schema` use beside SQLite's own."""

    def words(host_key: str) -> str:
        from inventory.words import key_words

        return key_words(host_key)

    connection.create_function("key_words", 1, words, deterministic=True)


def _runner(statements: tuple[str, ...]) -> Callable[[Any], None]:
    def run(database: Any) -> None:
        for statement in statements:  # one by one: executescript() would commit first
            database.conn.execute(statement)

    return run


def _keep_copy(connection: sqlite3.Connection, target: Path) -> None:
    private_dir(target.parent)
    copy_whole(connection, target)
    sync_dir(target.parent)
