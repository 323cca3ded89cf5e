"""kill -9 before any SQL statement of any act: afterwards the act happened whole, or not at all."""

import itertools
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.store import Store, StoreQueries
from controller.store.home import Home
from inventory.lifecycle import NodeState
from tests.unit.store.support import KEY_A, KEY_B, fleet, killed_at, ref

ACTS: dict[str, Callable[[Store], Any]] = {
    "begin": lambda s: s.begin(ref("inspect"), detail={}),
    "finish": lambda s: s.finish(s.open_steps()[0], outcome="done", detail={"a": 1}, record={"disk": "sda"}),
    "fail": lambda s: s.finish(s.open_steps()[0], outcome="failed", detail={"what": "gone"}),
    "pin": lambda s: s.pin("n2", address="127.0.0.3", host_key=KEY_B, actor="a", reason="r"),
    "move": lambda s: s.move("n1", NodeState.RESET, reason="r", actor="a"),
    "declare": lambda s: s.declare(fleet("n1", "n3", "n4", host_keys={"n4": KEY_A}), actor="a"),
    "queue_run": lambda s: s.queue_run("apply", {}, actor="a"),
    "next_run": lambda s: (s.queue_run("apply", {}, actor="a"), s.next_run()),
    "finish_run": lambda s: s.finish_run("id-2", "done", {}),
    "cancel_run": lambda s: s.cancel_run("id-2", actor="a", reason="r"),
    "start_engine": lambda s: s.start_engine(99, ballast=4096),
    "put_secret": lambda s: s.put_secret("a", b"1"),
    "save_facts": lambda s: s.save_facts("n1", {"cpu": 1}, "d"),
    "save_plan": lambda s: s.save_plan("id-2", "d", {}),
    "mark_observed": lambda s: s.mark_observed("n1"),
}
CHANGED = ("meta", "nodes", "clusters", "facts", "runs", "plans", "steps", "secrets", "events", "audit")


def contents(store: Store) -> dict[str, int]:
    """How many rows each table has, and what of the changing values tells one state from another."""
    counts = {table: len(store._rows(f"SELECT * FROM {table}")) for table in CHANGED}
    states = store._rows("SELECT name, state, host_key, record, problem, unread FROM nodes")
    runs = store._rows("SELECT id, state, cancel FROM runs")
    steps = store._rows("SELECT step, outcome FROM steps")
    return {**counts, "values": hash(tuple(map(tuple, [*states, *runs, *steps])))}


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_whole_or_absent(name: str, engine: Store, tmp_path: Path) -> None:
    if name in ("finish", "fail"):
        engine.begin(ref("inspect"), detail={})
    if name == "mark_observed":
        engine._connection.execute("UPDATE meta SET observe_only = 1")
        engine._connection.execute("UPDATE nodes SET unread = 1")
    epoch, before = engine.epoch, contents(engine)
    engine.close()
    seen: list[dict[str, int]] = []
    for statement in itertools.count(1):
        home = Home(tmp_path / f"at-{statement}")
        shutil.copytree(engine.home.root, home.root)

        def act(arm: Callable[[sqlite3.Connection], None], home: Home = home) -> None:
            store = reopen(home, epoch)
            arm(store._connection)
            ACTS[name](store)

        killed = killed_at(statement, act)
        survivor = reopen(home, epoch)
        assert survivor._row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]
        assert survivor._rows("PRAGMA foreign_key_check") == []
        assert survivor.audit_verify().ok
        if (now := contents(survivor)) not in seen:
            seen.append(now)
        survivor.close()
        if not killed:
            break
    assert seen[0] == before
    # one act, one transaction; claiming a run that was queued first makes two
    assert len(seen) == (3 if name == "next_run" else 2)


def reopen(home: Home, epoch: int) -> Store:
    counter = itertools.count(100)
    store = Store.open(
        home, now=lambda: datetime(2026, 11, 25, 12, tzinfo=UTC), new_id=lambda: f"id-{next(counter)}"
    )
    store.epoch = epoch
    return store


def test_a_reader_can_read_what_a_killed_writer_left(engine: Store) -> None:
    epoch = engine.epoch
    engine.close()

    def act(arm: Callable[[sqlite3.Connection], None]) -> None:
        store = reopen(engine.home, epoch)
        arm(store._connection)
        store.begin(ref("inspect"), detail={})

    assert killed_at(4, act)
    with StoreQueries(engine.home) as queries:
        assert [(node.name, node.step) for node in queries.nodes()] == [("n1", "")]
