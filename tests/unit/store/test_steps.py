"""Intent before act, one transaction for state, event and audit, and what is left open after a crash."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest

from controller.store import Store, StoreQueries
from controller.store.home import Home
from inventory.errors import BusyError, InvariantError, RefusedError, StoreError
from inventory.lifecycle import CLUSTER_TRANSITIONS, INSTALL_PATH, ClusterState, NodeState
from tests.unit.store.support import KEY_A, SteppingClock, fleet, ref, through


def test_a_node_goes_its_whole_way(engine: Store) -> None:
    for transition in INSTALL_PATH:
        step = engine.begin(ref(transition.step), detail={"plan": "abc"})
        assert engine.node("n1").state == transition.source  # type: ignore[union-attr]
        engine.finish(step, outcome="done", detail={"ok": True}, record={transition.step: "done"})
        assert engine.node("n1").state == transition.target  # type: ignore[union-attr]
    node = engine.node("n1")
    assert node is not None
    assert set(node.record) == {t.step for t in INSTALL_PATH}
    assert engine.open_steps() == ()
    assert [s.detail for s in engine.steps("node/n1")] == [{"plan": "abc", "ok": True}] * len(INSTALL_PATH)
    assert engine.audit_verify().ok


def test_a_cluster_goes_its_whole_way(engine: Store) -> None:
    for transition in CLUSTER_TRANSITIONS:
        engine.finish(
            engine.begin(ref(transition.step, kind="cluster", subject="kn"), detail={}),
            outcome="done",
            detail={},
        )
    cluster = engine.cluster("kn")
    assert cluster is not None
    assert cluster.state is ClusterState.READY
    assert cluster.verified_at
    kinds = [event.kind for event in engine.events()]
    assert kinds.count("ClusterBootstrapped") == 1
    assert kinds[-1] == "Verified"


def test_each_change_has_its_event_and_its_audit_row(engine: Store) -> None:
    rows, events = engine.audit_verify().rows, engine.events()[-1].id
    step = engine.begin(ref("inspect"), detail={})
    engine.finish(step, outcome="done", detail={})
    assert engine.audit_verify().rows == rows + 2
    assert [(e.kind, e.subject) for e in engine.events(events)] == [
        ("StepStarted", "node/n1"),
        ("StepFinished", "node/n1"),
    ]


def test_failure_leaves_the_state_and_says_why(engine: Store) -> None:
    step = engine.begin(ref("inspect"), detail={})
    engine.finish(step, outcome="failed", detail={"what": "no answer", "fix": "look at the cable"})
    node = engine.node("n1")
    assert node is not None
    assert (node.state, node.problem) == (NodeState.PINNED, "no answer\n  → look at the cable")
    through(engine, "inspect")
    assert engine.node("n1").problem == ""  # type: ignore[union-attr]


def test_cancelling_leaves_the_problem_that_stands(engine: Store) -> None:
    engine.set_problem("node/n1", "slow disk")
    engine.finish(engine.begin(ref("inspect"), detail={}), outcome="cancelled", detail={})
    assert engine.node("n1").problem == "slow disk"  # type: ignore[union-attr]


def test_attempts_count_until_the_step_is_done(engine: Store) -> None:
    attempts = []
    for outcome in ("failed", "indeterminate", "done"):
        step = engine.begin(ref("inspect"), detail={})
        attempts.append(step.attempt)
        engine.finish(step, outcome=outcome, detail={})  # type: ignore[arg-type]
    engine.move("n1", NodeState.RESET, reason="gone", actor="a")
    engine.move("n1", NodeState.PINNED, reason="back", actor="a")
    attempts.append(engine.begin(ref("inspect"), detail={}).attempt)
    assert attempts == [1, 2, 3, 1]


def test_one_subject_has_one_open_step(engine: Store) -> None:
    step = engine.begin(ref("inspect"), detail={})
    with pytest.raises(InvariantError, match="open step"):
        engine.begin(ref("inspect"), detail={})
    assert engine.open_steps() == (step,)
    assert engine.open_steps("id-2") == (step,)
    assert engine.open_steps("another") == ()


def test_a_step_ends_once(engine: Store) -> None:
    step = engine.begin(ref("inspect"), detail={})
    engine.finish(step, outcome="done", detail={})
    with pytest.raises(InvariantError, match="not open"):
        engine.finish(step, outcome="done", detail={})
    assert engine.node("n1").state is NodeState.INSPECTED  # type: ignore[union-attr]


def test_a_step_that_the_life_cycle_does_not_know_changes_nothing(engine: Store) -> None:
    step = engine.begin(ref("image"), detail={})
    rows, events = engine.audit_verify().rows, len(engine.events())
    with pytest.raises(InvariantError):
        engine.finish(step, outcome="done", detail={})
    assert engine.open_steps() == (step,)
    assert (engine.audit_verify().rows, len(engine.events())) == (rows, events)


def test_a_step_beside_the_life_cycle(engine: Store) -> None:
    step = engine.begin(ref("gather-again"), detail={})
    engine.finish(
        step, outcome="done", detail={}, advance=False, record={"disk": {"path": "/dev/sda", "size": 9}}
    )
    step = engine.begin(ref("gather-again"), detail={})
    engine.finish(step, outcome="done", detail={}, advance=False, record={"disk": {"size": None}})
    node = engine.node("n1")
    assert node is not None
    assert node.state is NodeState.PINNED
    assert node.record == {"disk": {"path": "/dev/sda"}}  # merged; None takes a value away


def test_what_json_can_not_say_is_refused_whole(engine: Store) -> None:
    step = engine.begin(ref("inspect"), detail={"nested": MappingProxyType({"a": (1, 2)})})
    for wrong in (float("nan"), Path("/x")):
        with pytest.raises((ValueError, TypeError)):
            engine.finish(step, outcome="done", detail={}, record={"value": wrong})
    assert engine.open_steps()[0].detail == {"nested": {"a": [1, 2]}}


def test_an_unknown_run_or_node_can_not_begin(engine: Store) -> None:
    with pytest.raises(InvariantError):
        engine.begin(ref("inspect", run="nobody's"), detail={})
    with pytest.raises(InvariantError):
        engine.begin(ref("inspect", subject="n7"), detail={})


def test_a_step_survives_its_engine(engine: Store, open_store: Callable[..., Store]) -> None:
    step = engine.begin(ref("inspect"), detail={"before": 1})
    after = open_store()
    after.start_engine(4712, ballast=4096)
    assert after.open_steps() == (step,)
    assert [run.id for run in after.interrupted_runs()] == ["id-2"]
    after.finish(step, outcome="indeterminate", detail={"observed": "nothing was done"})
    assert after.begin(ref("inspect"), detail={}).attempt == 2


def test_an_engine_that_was_overtaken_stops(engine: Store, open_store: Callable[..., Store]) -> None:
    open_store().start_engine(4712, ballast=4096)
    with pytest.raises(BusyError, match="newer engine"):
        engine.begin(ref("inspect"), detail={})


def test_progress_belongs_to_the_running_attempt(engine: Store) -> None:
    step = engine.begin(ref("inspect"), detail={})
    engine.progress("node/n1", "inspect", 40, 100)
    with StoreQueries(engine.home) as queries:
        view = queries.node("n1")
        assert (view.step, view.step_started_at, view.done, view.total) == (
            "inspect",
            step.started_at,
            40,
            100,
        )
        engine.finish(step, outcome="failed", detail={"what": "gone"})
        view = queries.node("n1")
        assert (view.step, view.done, view.total, view.problem) == ("", 0, 0, "gone")
        engine.begin(ref("inspect"), detail={})
        assert queries.node("n1").done == 0


def test_a_full_disk_lets_the_running_step_end_and_none_begin(engine: Store) -> None:
    """max_page_count makes SQLite say SQLITE_FULL, as a full disk does."""
    step = engine.begin(ref("inspect"), detail={})
    pages = engine._row("PRAGMA page_count")[0]  # type: ignore[index]
    engine._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = {"text": "x" * 100_000}
    with pytest.raises(Exception, match="disk is full"):
        engine.finish(step, outcome="done", detail=big)
    assert not engine.home.has_ballast()  # given back to make room
    assert engine.open_steps() == (step,)  # and nothing was half recorded
    engine.finish(step, outcome="done", detail={})


@pytest.mark.root
@pytest.mark.needs("mount", "umount")
def test_a_disk_that_is_really_full(
    tmp_path: Path, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(disk)], check=True)
    try:
        store = open_store(Home(disk / "home"))
        store.declare(fleet("n1", host_keys={"n1": KEY_A}), actor="a")
        store.start_engine(1, ballast=2 << 20)
        run = store.queue_run("apply", {}, actor="a")
        step = store.begin(ref("inspect", run=run), detail={})
        with pytest.raises(OSError, match="No space"), (disk / "hog").open("wb", buffering=0) as hog:
            while True:
                hog.write(bytes(4096))
        store.finish(step, outcome="done", detail={"text": "x" * 300_000})  # from the reserve
        assert store.node("n1").state is NodeState.INSPECTED  # type: ignore[union-attr]
        with pytest.raises(StoreError, match="no room for new steps"):
            store.begin(ref("prepare", run=run), detail={})
        assert store.open_steps() == ()
        (disk / "hog").unlink()
        store.begin(ref("prepare", run=run), detail={})  # and it goes on by itself
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_no_step_begins_without_room_for_its_end(engine: Store) -> None:
    engine.home.release_ballast()
    engine.begin(ref("inspect"), detail={})
    assert engine.home.has_ballast()  # reserved again first


def test_after_a_restore_only_harmless_steps_begin(engine: Store) -> None:
    through(engine, "inspect")
    engine._connection.execute("UPDATE meta SET observe_only = 1")
    with pytest.raises(RefusedError, match="until every node was read"):
        engine.begin(ref("prepare"), detail={})
    with pytest.raises(RefusedError):
        engine.begin(ref("something-new"), detail={})
    engine.begin(ref("verify"), detail={})


def test_two_nodes_have_steps_at_once(store: Store) -> None:
    store.declare(fleet("n1", "n2", host_keys={"n1": KEY_A, "n2": KEY_A}), actor="a")
    run = store.queue_run("apply", {}, actor="a")
    steps = [store.begin(ref("inspect", subject=name, run=run), detail={}) for name in ("n1", "n2")]
    assert store.open_steps(run) == tuple(steps)
