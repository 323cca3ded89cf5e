"""What many look at is read once: for them all, at most so old, and without making anybody wait."""

import threading

from web import fleet
from web.shared import Shared


class Seconds:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def counted(queries, name):
    calls, read = [], getattr(queries, name)

    def count():
        calls.append(1)
        return read()

    setattr(queries, name, count)
    return calls


def test_one_read_serves_all_for_a_while(queries):
    calls, seconds = counted(queries, "nodes"), Seconds()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0)
    assert shared.nodes() is shared.nodes()
    queries.change("porto-1", problem="it is off")
    assert not any(node.problem == "it is off" for node in shared.nodes())
    seconds.now += 1.0
    assert any(node.problem == "it is off" for node in shared.nodes())
    assert len(calls) == 2
    assert shared.node("porto-1").problem == "it is off"  # one node is always read anew


def test_the_gathered_fleet_is_the_same_as_a_fresh_one(queries):
    shared = Shared(queries, now=queries.clock, monotonic=Seconds())
    assert fleet.gather(shared, queries.now) is fleet.gather(shared, queries.now)
    assert fleet.gather(shared, queries.now) == fleet.build(queries, queries.now)


def test_while_somebody_reads_anew_the_others_get_what_there_was(queries):
    seconds, began, go_on = Seconds(), threading.Event(), threading.Event()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0)
    first = shared.nodes()
    read = queries.nodes

    def slow():
        began.set()
        go_on.wait(60)
        return list(read())

    shared._nodes._read = slow
    seconds.now += 2
    found = []
    thread = threading.Thread(target=lambda: found.append(shared.nodes()))
    thread.start()
    began.wait(60)
    assert shared.nodes() is first
    go_on.set()
    thread.join()
    assert found[0] is not first
    assert shared.nodes() is found[0]


def test_a_read_that_fails_is_tried_again(queries):
    seconds = Seconds()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0)
    good = shared._nodes._read

    def broken():
        raise OSError("disk")

    shared._nodes._read = broken
    for _ in range(2):
        try:
            shared.nodes()
        except OSError:
            continue
        raise AssertionError("an error was hidden")
    shared._nodes._read = good
    assert len(shared.nodes()) == 6


def test_views_are_made_anew_only_for_rows_that_changed(store_queries, access, windows):
    from tests.unit.store.support import fleet as some

    access._writing.run(lambda s: s.store.declare(some("n1", "n2"), actor="test"))
    first, same = store_queries.nodes(), store_queries.nodes()
    assert first is same
    access._writing.run(lambda s: s.store.set_problem("node/n2", "it is off"))
    changed = store_queries.nodes()
    assert [view.problem for view in changed] == ["", "it is off"]
    assert changed[0] is first[0]
    assert changed[1] is not first[1]
