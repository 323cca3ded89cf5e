"""Declaring, pinning and moving: what is kept, what is refused, and what each leaves behind."""

import pytest

from controller.store import Store
from controller.store.nodes import MOVES
from inventory.errors import OperatorError, RefusedError
from inventory.lifecycle import NODE_TRANSITIONS, ClusterState, NodeState
from tests.unit.store.support import KEY_A, KEY_B, fleet, ref, through


def last_audit(store: Store) -> tuple[str, str, str, str]:
    row = store._row("SELECT actor, action, before, after FROM audit ORDER BY seq DESC LIMIT 1")
    return tuple(row)  # type: ignore[return-value,arg-type]


def put(store: Store, state: NodeState) -> None:
    """As if the node had come there; not a way that the product has."""
    store._connection.execute("UPDATE nodes SET state = ?", [state])


def test_declare_adds_and_then_has_nothing_to_do(store: Store) -> None:
    first = store.declare(fleet("n1", "n2"), actor="alice")
    events = store.events()
    second = store.declare(fleet("n1", "n2"), actor="alice")
    assert (first.added, first.changed, first.missing) == (("n1", "n2"), (), ())
    assert (second.added, second.changed, second.missing) == ((), (), ())
    assert store.events() == events
    assert [node.state for node in store.nodes()] == [NodeState.DECLARED] * 2
    assert store.cluster("kn").state is ClusterState.PLANNED  # type: ignore[union-attr]


def test_declare_removes_nothing_and_names_what_is_missing(store: Store) -> None:
    store.declare(fleet("n1", "n2", host_keys={"n2": KEY_A}), actor="alice")
    result = store.declare(fleet("n1", address="127.0.0.9"), actor="alice")
    assert (result.changed, result.missing) == (("n1",), ("n2",))
    gone = store.node("n2")
    assert gone is not None
    assert not gone.declared
    assert gone.state is NodeState.PINNED
    assert store.node("n1").address == "127.0.0.9"  # type: ignore[union-attr]


def test_a_key_in_the_site_file_pins_but_never_replaces(store: Store) -> None:
    store.declare(fleet("n1", host_keys={"n1": f"{KEY_A} comment"}), actor="alice")
    assert store.node("n1").state is NodeState.PINNED  # type: ignore[union-attr]
    result = store.declare(fleet("n1", host_keys={"n1": KEY_B}), actor="alice")
    assert result.conflicts == ("n1",)
    assert store.node("n1").host_key == KEY_A  # type: ignore[union-attr]


def test_a_node_is_pinned_before_the_site_files_know_it(store: Store) -> None:
    store.pin(
        "n9",
        address="127.0.0.9",
        port=2222,
        jump="ops@gw",
        host_key=KEY_A,
        actor="bob",
        reason="words compared",
    )
    node = store.node("n9")
    assert node is not None
    assert (node.state, node.ssh_port, node.jump, node.declared) == (NodeState.PINNED, 2222, "ops@gw", False)
    assert node.key_words.startswith("KEY ")
    assert last_audit(store) == ("bob", "pin", "no key", f"{KEY_A} at root@127.0.0.9:2222 through ops@gw")
    # a site file without an address leaves the way that `cto node add` gave
    store.declare(fleet("n9", address=""), actor="alice")
    node = store.node("n9")
    assert node is not None
    assert (node.address, node.ssh_port, node.cluster, node.declared) == ("127.0.0.9", 2222, "kn", True)


def test_pinning_twice_the_same_does_nothing(store: Store) -> None:
    for _ in range(2):
        store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    assert [event.kind for event in store.events()] == ["NodePinned"]


def test_a_pin_is_replaced_only_when_told(store: Store) -> None:
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    with pytest.raises(RefusedError, match="pinned already"):
        store.pin("n1", address="127.0.0.2", host_key=KEY_B, actor="a", reason="r")
    way = {"address": "127.0.0.2", "port": 2222, "jump": "ops@gw"}
    store.pin("n1", **way, host_key=KEY_A, actor="a", reason="moved", replace=True)
    with pytest.raises(RefusedError, match=r"at 127\.0\.0\.2:2222 through ops@gw\)"):
        store.pin("n1", address="127.0.0.2", host_key=KEY_B, actor="a", reason="r")
    put(store, NodeState.PREPARED)
    store.pin("n1", address="127.0.0.2", host_key=KEY_B, actor="a", reason="new board", replace=True)
    node = store.node("n1")
    assert node is not None
    assert (node.host_key, node.state) == (KEY_B, NodeState.PINNED)
    assert last_audit(store)[2:] == (KEY_A, f"{KEY_B} at root@127.0.0.2:22")


@pytest.mark.parametrize(
    "state", [NodeState.IMAGED, NodeState.CONFIGURED, NodeState.BOOT_SET, NodeState.BOOTING]
)
def test_a_machine_that_lost_its_power_gets_a_new_key_and_keeps_its_disk(
    store: Store, state: NodeState
) -> None:
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    put(store, state)
    known = '{"prepared": "S1", "config_digest": "d"}'
    store._connection.execute("UPDATE nodes SET record = ?", [known])
    store.pin("n1", address="127.0.0.2", host_key=KEY_B, actor="a", reason="power cut", replace=True)
    node = store.node("n1")
    assert node is not None
    assert (node.state, dict(node.record)) == (NodeState.PINNED, {"prepared": "S1"})


def test_a_machine_that_was_reset_is_pinned_again_even_with_the_same_key(store: Store) -> None:
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    put(store, NodeState.RESET)
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="booted anew", replace=True)
    assert store.node("n1").state is NodeState.PINNED  # type: ignore[union-attr]


@pytest.mark.parametrize("state", [NodeState.JOINED, NodeState.CLEANED, NodeState.READY])
def test_a_machine_that_runs_ours_keeps_its_key(store: Store, state: NodeState) -> None:
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    put(store, state)
    with pytest.raises(RefusedError, match="another machine"):
        store.pin("n1", address="127.0.0.2", host_key=KEY_B, actor="a", reason="r", replace=True)
    assert store.node("n1").host_key == KEY_A  # type: ignore[union-attr]


def test_a_key_that_is_no_key_pins_nothing(store: Store) -> None:
    with pytest.raises(OperatorError):
        store.pin("n1", address="127.0.0.2", host_key="ssh-ed25519 nonsense", actor="a", reason="r")
    assert store.node("n1") is None
    assert store.events() == ()


@pytest.mark.parametrize("target", NodeState)
def test_moves_are_exactly_those_of_the_table(store: Store, target: NodeState) -> None:
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    for source in NodeState:
        put(store, source)
        if source in MOVES.get(target, ()):
            store.move("n1", target, reason="seen", actor="engine")
            assert store.node("n1").state is target  # type: ignore[union-attr]
            assert last_audit(store) == ("engine", "move", source, target)
        else:
            with pytest.raises(RefusedError):
                store.move("n1", target, reason="seen", actor="engine")
            assert store.node("n1").state is source  # type: ignore[union-attr]


def test_withdrawn_trust_drops_the_pin(store: Store) -> None:
    store.pin("n1", address="127.0.0.2", host_key=KEY_A, actor="a", reason="r")
    store.move("n1", NodeState.DECLARED, reason="stolen", actor="a")
    node = store.node("n1")
    assert node is not None
    assert (node.host_key, node.key_words) == ("", "")


def test_a_cluster_starts_etcd_once_as_long_as_a_node_lives(engine: Store) -> None:
    through(engine, *(t.step for t in NODE_TRANSITIONS[1:8]))
    step = engine.begin(ref("await-control-plane", kind="cluster", subject="kn"), detail={})
    engine.finish(step, outcome="done", detail={})
    with pytest.raises(RefusedError, match="while n1 lives"):
        engine.move_cluster("kn", ClusterState.PLANNED, reason="again", actor="a")
    engine.move("n1", NodeState.RESET, reason="wiped", actor="a")
    engine.move_cluster("kn", ClusterState.PLANNED, reason="again", actor="a")
    assert engine.cluster("kn").state is ClusterState.PLANNED  # type: ignore[union-attr]
    with pytest.raises(RefusedError):
        engine.move_cluster("kn", ClusterState.BOOTSTRAPPED, reason="no", actor="a")


def test_problems_are_told_once(engine: Store) -> None:
    before = engine.events()[-1].id
    for text in ("no disk", "no disk", "", ""):
        engine.set_problem("node/n1", text)
    assert [event.kind for event in engine.events(before)] == ["ProblemFound", "ProblemGone"]
    with pytest.raises(OperatorError, match="no node 'nn'"):
        engine.set_problem("node/nn", "x")


def test_touch_keeps_what_it_is_not_told(engine: Store) -> None:
    engine.touch("n1", talos="v1.13.9", profile="dell-r660")
    first = engine.node("n1")
    engine.touch("n1")
    second = engine.node("n1")
    assert first is not None
    assert second is not None
    assert (second.talos, second.profile) == ("v1.13.9", "dell-r660")
    assert second.seen_at > first.seen_at


def test_the_tables_cover_the_whole_life() -> None:
    """A state that steps can't leave and moves can't reach would be a trap."""
    left = {transition.source for transition in NODE_TRANSITIONS} | {
        s for sources in MOVES.values() for s in sources
    }
    assert left == set(NodeState)


def test_a_confirmed_maintenance_key_is_recorded_and_audited(store: Store) -> None:
    store.declare(fleet("n1", host_keys={"n1": KEY_A}), actor="alice")
    store.confirm_maintenance("n1", "first", actor="bob", reason="seen on the console")
    store.confirm_maintenance("n1", "second", actor="bob", reason="after another boot")
    assert store.node("n1").record == {"maintenance_key": "second"}  # type: ignore[union-attr]
    assert last_audit(store) == ("bob", "confirm maintenance key", "first", "second")
    assert store.events()[-1].kind == "MaintenanceKeyConfirmed"
    with pytest.raises(OperatorError):
        store.confirm_maintenance("nobody", "x", actor="bob", reason="")
