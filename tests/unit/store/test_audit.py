"""The audit chain: what the triggers forbid, and what the check finds when somebody got round them."""

import sqlite3

import pytest

from controller.store import AuditHead, Store
from tests.unit.store.support import through

DROP = ("audit_no_update", "audit_no_delete", "audit_only_append")


def without_triggers(store: Store) -> sqlite3.Connection:
    """As somebody with the file and an SQLite shell would do it."""
    for trigger in DROP:
        store._connection.execute(f"DROP TRIGGER {trigger}")
    return store._connection


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'nobody' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 1",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 1",
        "INSERT INTO audit SELECT 99, at, actor, action, object, before, after, reason, run, epoch, hash FROM audit LIMIT 1",
    ],
)
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_the_store_itself_refuses(engine: Store, sql: str, recursive: str) -> None:
    engine._connection.execute(f"PRAGMA recursive_triggers = {recursive}")
    with pytest.raises(sqlite3.IntegrityError, match="audit rows are"):
        engine._connection.execute(sql)
    assert engine.audit_verify().ok


def test_an_untouched_chain_is_whole(engine: Store) -> None:
    through(engine, "inspect", "prepare")
    report = engine.audit_verify()
    assert (report.ok, report.first_bad, report.head) == (True, 0, engine.audit_head())
    assert report.rows == report.head.seq == engine._row("SELECT count(*) FROM audit")[0]  # type: ignore[index]


@pytest.mark.parametrize(
    "column", ["at", "actor", "action", "object", "before", "after", "reason", "run", "epoch", "hash"]
)
def test_an_edit_is_found_in_every_column(engine: Store, column: str) -> None:
    value = 77 if column == "epoch" else "00" * 32
    without_triggers(engine).execute(f"UPDATE audit SET {column} = ? WHERE seq = 3", [value])
    report = engine.audit_verify()
    assert (report.ok, report.first_bad) == (False, 3)


def test_an_edit_that_makes_its_own_hash_right_breaks_the_next(engine: Store) -> None:
    connection = without_triggers(engine)
    through(engine, "inspect")
    row = dict(connection.execute("SELECT * FROM audit WHERE seq = 2").fetchone())
    before = connection.execute("SELECT hash FROM audit WHERE seq = 1").fetchone()[0]
    row["actor"] = "somebody else"
    import hashlib

    import rfc8785

    del row["hash"]
    forged = hashlib.sha256(bytes.fromhex(before) + rfc8785.dumps(row)).hexdigest()
    connection.execute("UPDATE audit SET actor = ?, hash = ? WHERE seq = 2", [row["actor"], forged])
    assert engine.audit_verify().first_bad == 3


def test_a_removed_row_is_found(engine: Store) -> None:
    without_triggers(engine).execute("DELETE FROM audit WHERE seq = 2")
    report = engine.audit_verify()
    assert (report.ok, report.first_bad, report.why) == (False, 2, "row 2 is missing")


def test_a_removed_row_is_found_when_the_rest_moves_up(engine: Store) -> None:
    connection = without_triggers(engine)
    connection.execute("DELETE FROM audit WHERE seq = 2")
    for seq in range(3, engine.audit_head().seq + 1):
        connection.execute("UPDATE audit SET seq = seq - 1 WHERE seq = ?", [seq])
    assert engine.audit_verify().first_bad == 2


def test_two_rows_in_the_wrong_order_are_found(engine: Store) -> None:
    connection = without_triggers(engine)
    connection.execute("UPDATE audit SET seq = -2 WHERE seq = 2")
    connection.execute("UPDATE audit SET seq = 2 WHERE seq = 3")
    connection.execute("UPDATE audit SET seq = 3 WHERE seq = -2")
    assert engine.audit_verify().first_bad == 2


def test_a_cut_tail_is_seen_only_from_outside(engine: Store) -> None:
    noted = engine.audit_head()
    connection = without_triggers(engine)
    connection.execute("DELETE FROM audit WHERE seq >= ?", [noted.seq - 1])
    assert engine.audit_verify().ok  # the chain that is left is a valid one
    report = engine.audit_verify(anchor=noted)
    assert (report.ok, report.first_bad) == (False, noted.seq - 1)


def test_an_anchor_that_still_fits(engine: Store) -> None:
    noted = engine.audit_head()
    through(engine, "inspect")
    assert engine.audit_verify(anchor=noted).ok
    report = engine.audit_verify(anchor=AuditHead(noted.seq, "00" * 32))
    assert (report.ok, report.first_bad) == (False, noted.seq)


def test_an_act_that_fails_leaves_no_row(engine: Store) -> None:
    head = engine.audit_head()
    with pytest.raises(RuntimeError), engine._unit() as unit:
        unit.execute("UPDATE nodes SET state = 'ready'")
        from controller.store.audit import Entry

        unit.audit(Entry("a", "b", "c"))
        raise RuntimeError
    assert engine.audit_head() == head
    assert engine.node("n1").state == "pinned"  # type: ignore[union-attr]
