"""The read side: light to import, usable from threads, empty before there is a store."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from controller.store import Store, StoreQueries
from controller.store.home import Home
from controller.store.runs_read import selection_text
from inventory.errors import OperatorError, StoreError
from tests.unit.store.support import KEY_A, fleet, ref, through


def test_a_fresh_machine_shows_an_empty_fleet(home: Home, open_store: Callable[..., Store]) -> None:
    with StoreQueries(home) as queries:
        assert (queries.nodes(), queries.sites(), queries.last_event_id(), queries.engine().pid) == (
            (),
            (),
            0,
            0,
        )
        assert not home.root.exists()  # looking makes nothing
        open_store().declare(fleet("n1"), actor="a")
        assert [node.name for node in queries.nodes()] == ["n1"]


def test_the_fleet_as_pages_show_it(engine: Store) -> None:
    through(engine, "inspect")
    engine.touch("n1", talos="v1.13.9")
    with StoreQueries(engine.home) as queries:
        (node,), (cluster,), (site,) = queries.nodes(), queries.clusters(), queries.sites()
        assert (node.state, node.talos, node.cluster, node.host_key_words[:4]) == (
            "inspected",
            "v1.13.9",
            "kn",
            "KEY ",
        )
        assert (cluster.state, cluster.nodes, cluster.ready) == ("planned", 1, 0)
        assert (site.name, site.clusters, site.nodes, site.ready) == ("berlin", ("kn",), 1, 0)
        assert queries.run("id-2").state == "running"
        assert [run.id for run in queries.runs()] == ["id-2"]
        assert queries.time_floor() >= queries.run("id-2").started_at
        with pytest.raises(OperatorError, match="no node 'n7'"):
            queries.node("n7")
        with pytest.raises(OperatorError, match="no run"):
            queries.run("x")


def test_events_by_cursor_and_subject(engine: Store) -> None:
    with StoreQueries(engine.home) as queries:
        last = queries.last_event_id()
        through(engine, "inspect")
        assert [e.kind for e in queries.events(last)] == ["StepStarted", "StepFinished"]
        assert {e.subject for e in queries.events(subject="node/n1")} == {"node/n1"}
        assert len(queries.events(limit=1)) == 1
        assert queries.events(queries.last_event_id()) == ()


def test_facts_keep_their_history(engine: Store) -> None:
    assert engine.save_facts("n1", {"cpu": 4, "up": 1}, "d1")
    assert not engine.save_facts("n1", {"cpu": 4, "up": 2}, "d1")
    assert engine.save_facts("n1", {"cpu": 8}, "d2")
    with StoreQueries(engine.home) as queries:
        new, old = queries.facts("n1")
        assert (new["body"], old["body"]) == ({"cpu": 8}, {"cpu": 4, "up": 2})
        assert old["last_seen"] > old["taken_at"]
        assert list(queries.facts("n1")) == list(engine.facts("n1"))
    assert [e.kind for e in engine.events()].count("FactsTaken") == 2


def test_each_thread_reads_through_its_own_connection(engine: Store) -> None:
    seen: list[str] = []
    with StoreQueries(engine.home) as queries:
        threads = [
            threading.Thread(target=lambda: seen.extend(n.name for n in queries.nodes())) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == ["n1"] * 4


def test_a_reader_does_not_see_half_a_change(engine: Store) -> None:
    with StoreQueries(engine.home) as queries, engine._unit() as unit:
        unit.execute("UPDATE nodes SET state = 'ready'")
        assert queries.node("n1").state == "pinned"


def test_reading_is_light(engine: Store) -> None:
    """`cto status` has a start-up budget; these modules would spend it."""
    code = (
        "import sys; from controller.store.home import Home; from controller.store import StoreQueries;"
        "from pathlib import Path; q = StoreQueries(Home(Path(sys.argv[1]))); q.nodes(); q.engine();"
        "heavy = {'sqlite_utils', 'pydantic', 'asyncssh', 'nacl', 'asyncio', 'rfc8785', 'platformdirs', 'mnemonic', 'inventory.calendar'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(engine.home.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_opening_a_store_does_not_load_the_calendar(engine: Store) -> None:
    """Most commands open it, few ask about windows."""
    code = (
        "import sys; from controller.store.home import Home; from controller.store import Store;"
        "from datetime import UTC, datetime; from pathlib import Path; home = Home(Path(sys.argv[1]));"
        "store = Store.open(home, now=lambda: datetime.now(UTC), new_id=str, write=False);"
        "store.nodes(); store.close(); print('inventory.calendar' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(engine.home.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_store_of_a_newer_program_is_not_shown_half_right(engine: Store) -> None:
    engine._connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('cto', '0099_future', '')"
    )
    with StoreQueries(engine.home) as queries, pytest.raises(StoreError, match="newer cto"):
        queries.nodes()


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({}, "everything"),
        ({"sites": [], "nodes": ()}, "everything"),
        ({"sites": ["a", "b"], "labels": {"rack": "7"}}, "sites a, b; labels rack=7"),
        ({"node": "n1"}, "node n1"),
    ],
)
def test_selections_in_words(selection: dict[str, object], text: str) -> None:
    assert selection_text(selection) == text


def test_pages_can_ask_whether_anything_changed(engine: Store) -> None:
    with StoreQueries(engine.home) as queries:
        queries.check()
        seen = [queries.data_version()]
        assert queries.data_version() == seen[0]
        engine.progress("node/n1", "image", 1, 2)
        seen.append(queries.data_version())
        engine.set_problem("node/n1", "x")
        seen.append(queries.data_version())
    assert len(set(seen)) == 3


def test_a_step_is_shown_for_its_own_node(engine: Store) -> None:
    engine.declare(fleet("n1", "n2", host_keys={"n2": KEY_A}), actor="a")
    engine.begin(ref("inspect"), detail={})
    with StoreQueries(engine.home) as queries:
        assert [(n.name, n.step) for n in queries.nodes()] == [("n1", "inspect"), ("n2", "")]
