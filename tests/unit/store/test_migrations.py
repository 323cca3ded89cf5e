"""Every earlier version becomes the newest without loss, in one step or not at all; a newer one is refused."""

import hashlib
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.store import Store, StoreQueries, migrations
from controller.store.connection import transaction, writer
from controller.store.home import Home, write_private
from controller.store.schema import VERSIONS
from inventory.errors import BusyError, StoreError
from inventory.words import key_words
from tests.unit.store.support import FIXTURES, killed_at

NAMES = [name for name, _ in VERSIONS]
EARLIER = NAMES[:-1]


def lay(home: Home, version: str) -> Path:
    """The store of that version, as its program left it."""
    home.create()
    write_private(home.key, (FIXTURES / "key").read_bytes())
    connection = sqlite3.connect(home.database)
    connection.executescript((FIXTURES / f"{version}.sql").read_text())
    connection.close()
    return home.database


def shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables with their columns, indexes and triggers; not the text, to which ALTER adds in its own way."""
    found = []
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name"):
        columns = [tuple(row)[1:] for row in connection.execute(f"PRAGMA table_info({name})")]
        found.append((f"{kind} {name}", str(columns) if kind == "table" else sql))
    return found


def test_there_is_a_fixture_of_every_version() -> None:
    assert sorted(path.stem for path in FIXTURES.glob("*.sql")) == NAMES


@pytest.mark.parametrize("version", NAMES)
def test_every_version_becomes_the_newest(
    version: str, home: Home, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    lay(home, version)
    store = open_store()
    assert migrations.applied(store._connection) == tuple(NAMES)
    assert shape(store._connection) == shape(open_store(Home(tmp_path / "new"))._connection)
    assert store._rows("PRAGMA foreign_key_check") == []
    # nothing was lost
    node, waiting = store.node("kn-cp-1"), store.node("new-cp-1")
    assert node is not None
    assert waiting is not None
    assert (node.talos, node.profile, node.record["disk"]) == ("v1.13.9", "dell-r660", {"path": "/dev/sda"})
    assert waiting.key_words == node.key_words == key_words(node.host_key)
    assert waiting.problem == "no disk is large enough"
    assert [c.verified_at != "" for c in store.clusters()] == [True, False]
    assert [step.attempt for step in store.open_steps()] == [2]
    assert store.get_secret("cluster/kn/pki") == b"composed secret"
    assert (store.audit_verify().ok, store.audit_verify().rows) == (True, 3)
    assert store.event("X", "controller", "the cursor goes on") == 4  # not 3, which was given out before
    with StoreQueries(home) as queries:
        assert len(queries.nodes()) == 3


@pytest.mark.parametrize("version", EARLIER)
def test_a_copy_of_the_older_store_is_kept(
    version: str, home: Home, open_store: Callable[..., Store]
) -> None:
    lay(home, version)
    open_store()
    (copy,) = home.backups.glob("*.db")
    connection = sqlite3.connect(copy)
    assert [row[0] for row in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id")][
        -1
    ] == version
    connection.close()
    open_store()
    assert len(list(home.backups.iterdir())) == 1  # nothing to migrate, nothing to keep


@pytest.mark.parametrize("version", ["", *EARLIER])
def test_killed_in_any_statement_it_is_the_old_one_or_the_new(
    version: str, home: Home, tmp_path: Path
) -> None:
    statement, killed, outcomes = 0, True, set()
    while killed:
        statement += 1
        at = Home(tmp_path / str(statement)).create()
        if version:
            lay(at, version)

        def migrate(arm: Callable[[sqlite3.Connection], None], at: Home = at) -> None:
            connection = writer(at.database)
            arm(connection)
            migrations.migrate(connection, at.database, backups=at.backups, stamp="now")

        killed = killed_at(statement, migrate)
        connection = writer(at.database)
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        outcomes.add(migrations.applied(connection))
        migrations.migrate(connection, at.database, backups=at.backups, stamp="later")
        assert migrations.applied(connection) == tuple(NAMES)
        connection.close()
    assert outcomes == {tuple(NAMES[: NAMES.index(version) + 1] if version else ()), tuple(NAMES)}
    assert statement > 10


def test_a_newer_store_is_refused_and_left_alone(home: Home, open_store: Callable[..., Store]) -> None:
    path = lay(home, NAMES[-1])
    connection = sqlite3.connect(path)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('cto', '0099_x', '')"
    )
    connection.commit()
    connection.close()
    open_raises_newer(open_store)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    open_raises_newer(open_store)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert not home.backups.exists()


def open_raises_newer(open_store: Callable[..., Store]) -> None:
    with pytest.raises(StoreError, match="made by a newer cto"):
        open_store()


def test_not_under_a_running_engine(home: Home, open_store: Callable[..., Store]) -> None:
    lay(home, NAMES[0])
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        home.engine_lock.write_text(str(child))
        with pytest.raises(BusyError, match=f"pid {child}"):
            open_store()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    open_store()


def test_looking_does_not_migrate(home: Home, open_store: Callable[..., Store]) -> None:
    lay(home, NAMES[0])
    with pytest.raises(StoreError, match="older cto"):
        open_store(write=False)
    with StoreQueries(home) as queries, pytest.raises(StoreError, match="older cto"):
        queries.nodes()


def test_a_failing_migration_changes_nothing(home: Home) -> None:
    """The new columns come, then a statement fails: all of it is taken back, and so is the record of it."""
    path = lay(home, NAMES[0])
    connection = writer(path)
    with transaction(connection, path):
        connection.execute(
            "CREATE INDEX events_of_subject ON events (subject)"
        )  # is in the way of the last statement
    before = shape(connection)
    with pytest.raises(StoreError):
        migrations.migrate(connection, path, backups=home.backups, stamp="now")
    assert shape(connection) == before
    assert migrations.applied(connection) == (NAMES[0],)
    connection.close()


def test_versions_only_grow() -> None:
    assert sorted(set(NAMES)) == NAMES
    assert all(name[:4].isdigit() for name in NAMES)
