"""Several programs on one store: they take turns, and who waits too long is told so with nothing changed."""

import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from controller.store import Store, StoreQueries
from controller.store.connection import loose_writer, transaction, writer
from controller.store.home import Home
from inventory.errors import BusyError
from tests.unit.store.support import ref

WRITERS, EACH = 3, 30


def child_of(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        os._exit(70)
    os._exit(0)


def write_much(home: Home, name: str) -> None:
    count = iter(range(10_000))
    with Store.open(home, now=lambda: datetime.now(UTC), new_id=lambda: f"{name}-{next(count)}") as store:
        for number in range(EACH):
            store.queue_run("apply", {"nodes": [f"{name}-{number}"]}, actor=name)
            store.progress(f"node/{name}", "image", number, EACH)


def test_engine_and_command_lines_write_at_once(engine: Store) -> None:
    children = [child_of(lambda name=f"w{n}": write_much(engine.home, name)) for n in range(WRITERS)]  # type: ignore[misc]
    for _ in range(EACH):  # the engine goes on meanwhile
        engine.finish(engine.begin(ref("inspect"), detail={}), outcome="failed", detail={})
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * WRITERS
    assert engine.audit_verify().ok
    with StoreQueries(engine.home) as queries:
        assert len(queries.runs(1000)) == 1 + WRITERS * EACH
        ids = [event.id for event in queries.events(limit=10_000)]
    assert ids == list(range(1, len(ids) + 1))


def test_programs_that_make_the_store_at_once_agree(home: Home) -> None:
    children = [child_of(lambda name=f"w{n}": write_much(home, name)) for n in range(4)]  # type: ignore[misc]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    with Store.open(home, now=lambda: datetime.now(UTC), new_id=lambda: "x") as store:
        assert store._row("SELECT count(*) FROM meta")[0] == 1  # type: ignore[index]
        assert store.audit_verify().ok
        store.put_secret("a", b"1")  # the key file is the one that the store was made with


def test_who_waits_too_long_is_told(engine: Store) -> None:
    blocker = writer(engine.home.database)
    blocker.execute("BEGIN IMMEDIATE")
    engine._connection.execute("PRAGMA busy_timeout = 1")
    before = engine.audit_head()
    with pytest.raises(BusyError, match="locked") as caught:
        engine.begin(ref("inspect"), detail={})
    assert caught.value.retryable
    blocker.execute("ROLLBACK")
    blocker.close()
    assert engine.audit_head() == before
    engine.begin(ref("inspect"), detail={})  # and the next try works


def test_readers_are_not_held_up(engine: Store) -> None:
    blocker = writer(engine.home.database)
    blocker.execute("BEGIN IMMEDIATE")
    with StoreQueries(engine.home) as queries:
        assert [node.name for node in queries.nodes()] == ["n1"]
    blocker.execute("ROLLBACK")
    blocker.close()


def test_what_the_connections_promise(engine: Store) -> None:
    def pragma(connection: sqlite3.Connection, name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    strict, loose = engine._connection, loose_writer(engine.home.database)
    assert (pragma(strict, "journal_mode"), pragma(strict, "synchronous")) == ("wal", 2)
    assert (pragma(strict, "foreign_keys"), pragma(strict, "busy_timeout")) == (1, 10_000)
    # not OFF: a checkpoint by such a connection could ruin the file when the power goes
    assert (pragma(loose, "synchronous"), pragma(loose, "wal_autocheckpoint")) == (1, 0)
    loose.close()


def test_a_transaction_that_fails_leaves_the_connection_usable(engine: Store) -> None:
    with pytest.raises(ZeroDivisionError), transaction(engine._connection, engine.home.database):
        raise ZeroDivisionError
    assert not engine._connection.in_transaction
    engine.begin(ref("inspect"), detail={})
