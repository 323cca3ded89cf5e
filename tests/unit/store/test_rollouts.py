"""Rollouts in the store: made, saved by parts, ordered about; one transaction for a decision and what follows."""

import json

import pytest

from controller.store.rollouts import NewRollout
from inventory.errors import BusyError, OperatorError, RefusedError, StoreError

NEW = NewRollout(
    id="r1",
    actor="anna",
    reason="fixes",
    status="running",
    head='{"head": 1}',
    summary={"nodes": 2},
    clusters=(("berlin", "b", '{"name": "berlin"}'), ("oslo", "o", '{"name": "oslo"}')),
    facts={"reserve": 60},
)


@pytest.fixture
def made(store):
    store.start_engine(1)
    store.create_rollout(NEW)
    return store


def saved(turn, **changes):
    parts = {"status": "running", "head": "h", "summary": {}, "clusters": {}, "over": False}
    turn.save(**(parts | changes))


def test_what_was_made_is_read_back(made):
    row = made.rollout("r1")
    assert (row.reason, row.facts, row.summary, row.over) == ("fixes", {"reserve": 60}, {"nodes": 2}, False)
    assert list(made.rollout_bodies("r1")) == ["berlin", "oslo"]
    assert made.busy_sites() == {"b": "r1", "o": "r1"}
    with pytest.raises(OperatorError, match="no rollout 'r2'"):
        made.rollout("r2")


def test_only_clusters_that_changed_are_written(made):
    with made.rollout_turn("r1") as turn:
        saved(turn, clusters={"oslo": "new"})
    assert made.rollout_bodies("r1") == {"berlin": '{"name": "berlin"}', "oslo": "new"}


def test_an_act_is_ordered_once_and_ends_once(made):
    with made.rollout_turn("r1") as turn:
        turn.begin_act("r1/0/n/install/1", "berlin", "n", "install", 1)
    with pytest.raises(StoreError, match="UNIQUE"), made.rollout_turn("r1") as turn:
        saved(turn, head="lost")
        turn.begin_act("r1/0/n/install/1", "berlin", "n", "install", 1)
    assert made.rollout("r1").head == NEW.head  # whole or absent
    for result in ("done", "failed"):
        with made.rollout_turn("r1") as turn:
            turn.end_act("r1/0/n/install/1", result, "said")
    [act] = made.rollout_acts("r1")
    assert (act.result, act.detail, act.epoch) == ("done", "said", made.epoch)
    assert made.audit_verify().ok


def test_a_newer_engine_takes_over(made):
    stale = made.epoch
    made.start_engine(2)
    made.epoch = stale
    assert made.overtaken()
    with pytest.raises(BusyError, match="newer engine"), made.rollout_turn("r1") as turn:
        saved(turn, head="stale")
    assert made.rollout("r1").head == NEW.head


def test_orders_wait_until_an_engine_took_them(made):
    id_ = made.order_rollout("r1", "pause", actor="anna", reason="lunch")
    [order] = made.rollout_commands("r1")
    assert (order.id, order.verb, order.actor, order.reason) == (id_, "pause", "anna", "lunch")
    with made.rollout_turn("r1") as turn:
        turn.obeyed([id_])
    assert made.rollout_commands("r1") == ()


def test_one_that_is_over_takes_no_orders_and_frees_its_sites(made):
    with made.rollout_turn("r1") as turn:
        saved(turn, status="succeeded", over=True)
    assert made.busy_sites() == {}
    assert made.open_rollouts() == ()
    assert made.rollout("r1").finished_at
    with pytest.raises(RefusedError, match="is over"):
        made.order_rollout("r1", "pause", actor="anna", reason="late")


def test_failures_add_up_over_rollouts_and_durations_are_the_last_twenty(made):
    for count in (1, 2, 1):
        with made.rollout_turn("r1") as turn:
            turn.failed({"n 1.13.9": count})
            for seconds in range(15):
                turn.took("talos", 100 * count + seconds)
    assert made.rollout_failures() == {"n 1.13.9": 2}
    assert made.rollout_durations("talos") == (*range(210, 215), *range(100, 115))


def test_where_a_rollout_is_at_work(store):
    """Asked for one cluster it reads no other's state: the watch asks for each machine that does not answer."""
    phases = {"a": "running", "b": "checking", "c": "pending", "d": "succeeded"}
    clusters = tuple((name, "berlin", json.dumps({"phase": phase})) for name, phase in phases.items())
    new = NewRollout(
        id="r1", actor="a", reason="why not", status="running", head="{}", summary={}, clusters=clusters
    )
    store.create_rollout(new)
    assert store.clusters_at_work() == {"a": "r1", "b": "r1"}
    assert [name for name in phases if store.clusters_at_work(name)] == ["a", "b"]
    store._connection.execute("UPDATE rollouts SET over = 1")
    assert store.clusters_at_work() == store.clusters_at_work("a") == {}
