"""The nodes are followed by what changed, and are at every moment what a fresh reading gives."""

import threading
from collections.abc import Callable

import pytest

from controller.store import Store, StoreQueries
from controller.store.home import Home
from tests.unit.store.support import fleet, ref, through


def fresh(store: Store) -> list[object]:
    with StoreQueries(store.home) as other:
        return list(other.nodes())


ACTS: dict[str, Callable[[Store], object]] = {
    "nothing": lambda s: None,
    "a step begins": lambda s: s.begin(ref("inspect"), detail={}),
    "it gets on": lambda s: s.progress("node/n1", "inspect", 5, 10),
    "and further": lambda s: s.progress("node/n1", "inspect", 6, 10),
    "it ends": lambda s: s.finish(s.open_steps()[0], outcome="done", detail={}),
    "another begins": lambda s: s.begin(ref("prepare"), detail={}),
    "it fails": lambda s: s.finish(s.open_steps()[0], outcome="failed", detail={}, problem="it is off"),
    "a problem": lambda s: s.set_problem("node/n1", "no answer"),
    "it was seen": lambda s: s.touch("n1", talos="v1.13.9"),
    "facts": lambda s: s.save_facts("n1", {"cpu": 4}, "d1"),
    "more are declared": lambda s: s.declare(fleet("n0", "n1", "n2"), actor="a"),
    "one is elsewhere": lambda s: s._connection.execute("UPDATE nodes SET site = 'a' WHERE name = 'n2'"),
    "one is gone": lambda s: s._connection.execute("DELETE FROM nodes WHERE name = 'n0'"),
    "and comes back": lambda s: s.declare(fleet("n0", "n1", "n2"), actor="a"),
    "a cluster's step": lambda s: s.event("X", "cluster/kn", "not about a node"),
    "all at once": lambda s: s._connection.execute("UPDATE nodes SET problem = 'storm'"),
}


def test_what_is_followed_is_what_a_fresh_reading_gives(engine: Store) -> None:
    with StoreQueries(engine.home) as queries:
        for name, act in ACTS.items():
            act(engine)
            assert list(queries.nodes()) == fresh(engine), name


def test_several_changes_between_two_readings(engine: Store) -> None:
    with StoreQueries(engine.home) as queries:
        queries.nodes()
        for act in ACTS.values():
            act(engine)
        assert list(queries.nodes()) == fresh(engine)


def test_only_what_changed_is_made_anew(engine: Store) -> None:
    engine.declare(fleet("n1", "n2"), actor="a")
    with StoreQueries(engine.home) as queries:
        first = queries.nodes()
        engine.event("X", "node/n1", "an event changes no node")
        assert queries.nodes() is first
        engine.set_problem("node/n2", "it is off")
        second = queries.nodes()
        assert second[0] is first[0]
        assert second[1].problem == "it is off"
        assert first[1].problem == ""  # whoever still looks at it sees one moment


def test_a_restored_store_is_read_anew(engine: Store, tmp_path, open_store: Callable[..., Store]) -> None:
    """Its changes were counted from elsewhere on."""
    other = open_store(Home(tmp_path / "other"))
    other.declare(fleet("x1", "x2", "x3"), actor="a")
    other._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with StoreQueries(engine.home) as queries:
        through(engine, "inspect")
        assert [node.name for node in queries.nodes()] == ["n1"]
        other.home.database.rename(engine.home.database)
        assert [node.name for node in queries.nodes()] == ["x1", "x2", "x3"]


def test_many_threads_see_changes_in_one_order(engine: Store) -> None:
    seen: list[list[int]] = []

    def watch(queries: StoreQueries) -> None:
        mine: list[int] = []
        while not mine or mine[-1] < 50:
            mine.append(int(queries.nodes()[0].problem or "0"))
        seen.append(mine)

    with StoreQueries(engine.home) as queries:
        threads = [threading.Thread(target=watch, args=(queries,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 51):
            engine.set_problem("node/n1", str(number))
        for thread in threads:
            thread.join(60)
    assert len(seen) == 3
    assert all(mine == sorted(mine) for mine in seen)


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT count(*), sum(state = 'ready') FROM nodes GROUP BY cluster", "nodes_by_cluster"),
        ("SELECT count(*), sum(state = 'ready') FROM nodes GROUP BY site", "nodes_by_site"),
        ("SELECT node FROM node_changes WHERE number > 5 ORDER BY number", "PRIMARY KEY"),
    ],
)
def test_counting_and_following_read_no_whole_rows(engine: Store, sql: str, index: str) -> None:
    plan = " ".join(row[3] for row in engine._rows(f"EXPLAIN QUERY PLAN {sql}"))
    assert index in plan
    assert "TEMP" not in plan
