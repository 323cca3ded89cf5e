"""What many look at is read once: for them all, at most so old, and without making anybody wait."""

import threading
from datetime import timedelta

import pytest

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


def test_the_gathered_fleet_is_the_same_as_a_fresh_one(queries, store_queries):
    shared = Shared(queries, now=queries.clock, monotonic=Seconds())
    assert fleet.gather(shared, queries.now) is fleet.gather(shared, queries.now)
    assert fleet.gather(shared, queries.now) == fleet.build(queries, queries.now)


def test_a_moment_stays_what_it_was(queries):
    """A page that reads its lists one after the other does not mix two states."""
    seconds = Seconds()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0)
    moment = shared.moment()
    nodes = list(moment.nodes())
    queries.clear()
    seconds.now += 10
    assert list(shared.nodes()) == []
    assert list(moment.nodes()) == nodes
    assert len(moment.clusters()) == 2


def test_after_an_order_the_next_one_sees_what_came_of_it(queries):
    shared = Shared(queries, now=queries.clock, monotonic=Seconds())
    shared.nodes()
    queries.change("porto-1", problem="it is off")
    shared.outdate()
    assert any(node.problem == "it is off" for node in shared.nodes())


class Slow:
    """Reads anew only when it is let go on."""

    def __init__(self, queries):
        self.began, self.go_on, self._read = threading.Event(), threading.Event(), queries.nodes
        queries.nodes = self

    def __call__(self):
        self.began.set()
        self.go_on.wait(60)
        return list(self._read())


def test_while_somebody_reads_anew_the_others_get_what_there_was(queries):
    seconds = Seconds()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0, longest=5.0)
    first, slow, found = shared.nodes(), Slow(queries), []
    seconds.now += 2
    thread = threading.Thread(target=lambda: found.append(shared.nodes()))
    thread.start()
    slow.began.wait(60)
    assert shared.nodes() is first
    slow.go_on.set()
    thread.join()
    assert found[0] is not first
    assert shared.nodes() is found[0]


def test_what_is_too_old_is_shown_to_nobody(queries):
    seconds = Seconds()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0, longest=5.0)
    first, slow, found = shared.nodes(), Slow(queries), []
    seconds.now += 5
    threads = [threading.Thread(target=lambda: found.append(shared.nodes())) for _ in range(2)]
    for thread in threads:
        thread.start()
    slow.began.wait(60)
    assert found == []
    slow.go_on.set()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]
    assert found[0] is not first


def test_a_read_that_fails_is_tried_again(queries):
    seconds = Seconds()
    shared = Shared(queries, now=queries.clock, monotonic=seconds, age=1.0)
    good = queries.nodes

    def broken():
        raise OSError("disk")

    queries.nodes = broken
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            shared.nodes()
    queries.nodes = good
    assert len(shared.nodes()) == 6


def test_a_page_says_when_it_was_read(backend, access, queries):
    """And not when it was drawn: what it shows may be a second old."""
    from dataclasses import replace

    from web.app import create_app

    shared = Shared(queries, now=lambda: queries.now - timedelta(seconds=3), monotonic=Seconds())
    client = create_app(replace(backend, queries=shared)).test_client()
    client.set_cookie("cto", access._open("vera", "password", "127.0.0.1").cookie, domain="localhost")
    read = (queries.now - timedelta(seconds=3)).isoformat()
    assert f'<time datetime="{read}">' in client.get("/nodes").text
