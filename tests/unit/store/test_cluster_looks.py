"""What was read of clusters last is kept with its time; a snapshot says who had it taken."""

from collections.abc import Callable

from controller.store import Store, StoreQueries
from controller.store.snapshots import SnapshotRow
from tests.unit.store.support import fleet


def row(id_: str, at: str, problem: str = "") -> SnapshotRow:
    return SnapshotRow(id_, "kn", "n1", "by hand", at, 9, "a" * 64, 1, 1, 1, 1, at, problem)


def test_the_last_look_is_what_is_shown(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.declare(fleet("n1"), actor="a")
    with StoreQueries(store.home) as queries:
        assert queries.clusters()[0].etcd == {}
        store.note_etcd("kn", {"members": []})
        store.note_cordons("kn", ["n2", "n1"])
        first = queries.clusters()[0]
        store.note_etcd("kn", {"members": [{"name": "n1"}]})
        second = queries.clusters()[0]
    assert second.etcd["members"] == [{"name": "n1"}]
    assert second.etcd["at"] > first.etcd["at"]
    assert second.cordons == first.cordons
    assert second.cordons["nodes"] == ["n1", "n2"]


def test_the_newest_whole_snapshot_is_shown(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.declare(fleet("n1"), actor="a")
    for id_, at, problem in (
        ("s1", "2026-03-02T10:00:00.000Z", ""),
        ("s2", "2026-03-02T11:00:00.000Z", ""),
        ("s3", "2026-03-02T12:00:00.000Z", "torn"),
    ):
        store.add_snapshot(row(id_, at, problem), actor="local:ada")
    assert store.snapshots("kn")[0].actor == "local:ada"
    with StoreQueries(store.home) as queries:
        assert queries.clusters()[0].snapshot == {
            "id": "s2",
            "at": "2026-03-02T11:00:00.000Z",
            "node": "n1",
            "reason": "by hand",
            "actor": "local:ada",
        }
