"""Runs are queued by anybody, taken in order by the engine, and cancelled at a safe point."""

import os
from collections.abc import Callable

import pytest

from controller.store import Store, StoreQueries
from controller.store.lock import EngineLock
from inventory.errors import InvariantError, OperatorError, RefusedError


def test_runs_are_taken_in_order_and_once(store: Store) -> None:
    first, second = (store.queue_run("apply", {"sites": [name]}, actor="a") for name in ("berlin", "munich"))
    taken = [store.next_run(), store.next_run(), store.next_run()]
    assert [run and run.id for run in taken] == [first, second, None]
    assert taken[0] is not None
    assert (taken[0].state, taken[0].selection) == ("running", {"sites": ["berlin"]})


def test_an_interrupted_run_comes_back_before_younger_ones(
    store: Store, open_store: Callable[..., Store]
) -> None:
    store.start_engine(1, ballast=4096)
    old = store.queue_run("apply", {}, actor="a", options={"yes": True})
    store.next_run()
    store.queue_run("apply", {}, actor="a")
    after = open_store()
    after.start_engine(2, ballast=4096)
    assert [run.id for run in after.interrupted_runs()] == [old]
    after.requeue(old)
    again = after.next_run()
    assert again is not None
    assert (again.id, again.options, again.epoch) == (old, {"yes": True}, 2)
    assert after.interrupted_runs() == ()


def test_finish_says_it_once(store: Store) -> None:
    run = store.queue_run("apply", {}, actor="a")
    store.next_run()
    store.finish_run(run, "partly", {"done": 3, "failed": 1})
    assert (store.get_run(run).state, store.get_run(run).summary) == ("partly", {"done": 3, "failed": 1})
    with pytest.raises(InvariantError):
        store.finish_run(run, "done", {})


def test_a_queued_run_is_cancelled_at_once(store: Store) -> None:
    run = store.queue_run("apply", {}, actor="a")
    store.cancel_run(run, actor="b", reason="wrong site")
    assert store.get_run(run).state == "cancelled"
    assert store.next_run() is None
    with pytest.raises(RefusedError, match="is over"):
        store.cancel_run(run, actor="b", reason="again")


def test_a_running_run_is_asked_to_stop(store: Store) -> None:
    run = store.queue_run("apply", {}, actor="a")
    store.next_run()
    assert store.requested_cancel(run) == ""
    store.cancel_run(run, actor="b", reason="")
    assert store.requested_cancel(run) == "no reason given"
    assert store.get_run(run).state == "running"


def test_an_unknown_run_is_the_operators_mistake(store: Store) -> None:
    for ask in (store.get_run, lambda run: store.cancel_run(run, actor="a", reason="r")):
        with pytest.raises(OperatorError, match="no run 'x'"):
            ask("x")


def test_plans_are_kept_with_their_digest(store: Store) -> None:
    run = store.queue_run("apply", {}, actor="a")
    store.save_plan(run, "d" * 64, {"nodes": [1]})
    store.save_plan(run, "e" * 64, {"nodes": [2]})
    with StoreQueries(store.home) as queries:
        plan = queries.plan(run)
        assert plan is not None
        assert (plan["digest"], plan["body"]) == ("e" * 64, {"nodes": [2]})
        assert queries.plan("x") is None
    assert [e.kind for e in store.events()][-2:] == ["PlanMade", "PlanMade"]


def test_who_is_the_engine(store: Store) -> None:
    with StoreQueries(store.home) as queries:
        assert queries.engine().pid == 0
        with EngineLock.acquire(store.home):
            store.start_engine(os.getpid(), ballast=4096)
            assert (queries.engine().pid, bool(queries.engine().since)) == (os.getpid(), True)
        assert queries.engine().pid == 0  # died without a word
        store.stop_engine()
        assert queries.engine().since == ""
