"""A restore refuses everything that is wrong before it changes anything, and then only lets us look."""

import hashlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.store import Store, StoreQueries
from controller.store.backup import manifest_path, read_manifest
from controller.store.home import Home, write_private
from controller.store.lock import EngineLock
from controller.store.secretbox import SealKey
from inventory.errors import BusyError, RefusedError, StoreError
from inventory.lifecycle import NodeState
from tests.unit.store.support import KEY_B, SteppingClock, fleet, ref, through


@pytest.fixture
def saved(engine: Store, tmp_path: Path) -> Path:
    """A backup of a fleet with a secret, after which the fleet went on."""
    engine.declare(fleet("n1", "n2"), actor="a")
    engine.put_secret("ca", b"one")
    path = tmp_path / "usb" / "monday.db"
    engine.backup(path)
    through(engine, "inspect", "prepare")
    engine.close()
    return path


def tree(home: Home) -> dict[str, str]:
    """Every file of the home with its hash, but for those that looking may touch."""
    return {
        str(path.relative_to(home.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.root.rglob("*"))
        if path.is_file() and path.name not in ("engine.lock", "fleet.db-shm")
    }


def test_round_trip(
    saved: Path, engine: Store, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    home = engine.home
    done = Store.restore(saved, home, now=clock)
    store = open_store()
    assert store.get_secret("ca") == b"one"
    assert store.node("n1").state is NodeState.PINNED  # type: ignore[union-attr]
    assert store.audit_verify().ok
    assert store.epoch == done.epoch > engine.epoch
    # the store that was replaced is whole where it was put
    kept = sqlite3.connect(Path(done.replaced) / "fleet.db")
    assert kept.execute("SELECT state FROM nodes WHERE name = 'n1'").fetchone() == ("prepared",)
    kept.close()


def test_only_looking_until_every_node_was_read(
    saved: Path, engine: Store, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    done = Store.restore(saved, engine.home, now=clock)
    assert done.unread == ("n1",)  # n2 is only declared: there is nothing of it to be wrong about
    store = open_store()
    store.start_engine(1, ballast=4096)
    assert (store.observe_only(), store.unread()) == (True, ("n1",))
    through(store, "inspect")  # reading is no change
    with pytest.raises(RefusedError, match="every node was read"):
        store.begin(ref("prepare"), detail={})
    store.mark_observed("n1")
    assert not store.observe_only()
    store.begin(ref("prepare"), detail={})
    assert [e.kind for e in store.events()].count("ObserveOnlyLifted") == 1


def test_the_operator_may_vouch_for_nodes_that_are_gone(
    saved: Path, engine: Store, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    Store.restore(saved, engine.home, now=clock)
    store = open_store()
    store.leave_observe_only(actor="alice", reason="the site burnt down")
    assert (store.observe_only(), store.unread()) == (False, ())
    assert store._row("SELECT actor, reason FROM audit ORDER BY seq DESC")[:] == (
        "alice",
        "the site burnt down",
    )  # type: ignore[index]


def test_the_operator_may_vouch_for_one_node_while_the_others_are_read(
    store: Store, clock: SteppingClock, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    for name in ("n1", "n2", "n3"):
        store.pin(name, address="198.51.100.1", host_key=KEY_B, actor="carol", reason="")
    store.backup(tmp_path / "b.db")
    store.close()
    Store.restore(tmp_path / "b.db", store.home, now=clock)
    again = open_store()
    again.leave_observe_only(actor="alice", reason="scrapped", nodes=["n2", "unheard-of"])
    assert (again.observe_only(), again.unread()) == (True, ("n1", "n3"))
    again.mark_observed("n1")
    again.leave_observe_only(actor="alice", reason="stolen", nodes=["n3"])
    assert (again.observe_only(), again.unread()) == (False, ())
    rows = again._rows("SELECT object, reason FROM audit WHERE actor = 'alice' AND action = 'leave unread'")
    assert [tuple(row) for row in rows] == [("node/n2", "scrapped"), ("node/n3", "stolen")]
    assert again.audit_verify().ok


def test_a_fleet_without_nodes_needs_no_reading(
    store: Store, tmp_path: Path, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    store.backup(tmp_path / "b.db")
    store.close()
    assert Store.restore(tmp_path / "b.db", store.home, now=clock).unread == ()
    assert not open_store().observe_only()


def test_a_page_that_stays_open_shows_the_restored_store(
    saved: Path, engine: Store, clock: SteppingClock
) -> None:
    with StoreQueries(engine.home) as queries:
        assert queries.node("n1").state == "prepared"
        Store.restore(saved, engine.home, now=clock)
        assert queries.node("n1").state == "pinned"
        assert queries.engine().observe_only


def test_the_manifest_describes_the_file(saved: Path) -> None:
    manifest = read_manifest(saved)
    assert manifest.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert (manifest.bytes, manifest.epoch) == (saved.stat().st_size, 1)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["monday.db", "monday.db.json"]
    with (
        pytest.raises(RefusedError, match="a file already"),
        Store.open(Home(saved.parent / "h"), now=SteppingClock(), new_id=lambda: "x") as store,
    ):
        store.backup(saved)


def wrong_key(saved: Path, home: Home) -> None:
    SealKey(bytes(32)).save(home)


def no_key(saved: Path, home: Home) -> None:
    home.key.unlink()


def flipped_bit(saved: Path, home: Home) -> None:
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    saved.write_bytes(content)


def cut_short(saved: Path, home: Home) -> None:
    saved.write_bytes(saved.read_bytes()[:-4096])


def no_manifest(saved: Path, home: Home) -> None:
    manifest_path(saved).unlink()


def torn_manifest(saved: Path, home: Home) -> None:
    manifest_path(saved).write_bytes(manifest_path(saved).read_bytes()[:-20])


def no_file(saved: Path, home: Home) -> None:
    saved.unlink()


def doctored(saved: Path, *sql: str) -> None:
    """Changed, and the manifest made to fit."""
    connection = sqlite3.connect(saved)
    for statement in sql:
        connection.execute(statement)
    connection.commit()
    connection.close()
    values = json.loads(manifest_path(saved).read_text())
    values["sha256"] = hashlib.sha256(saved.read_bytes()).hexdigest()
    manifest_path(saved).write_text(json.dumps(values))


def newer(saved: Path, home: Home) -> None:
    doctored(
        saved, "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('cto', '0099_x', '')"
    )


def moved_secret(saved: Path, home: Home) -> None:
    doctored(saved, "UPDATE secrets SET name = 'another'")


def forged_audit(saved: Path, home: Home) -> None:
    doctored(saved, "DROP TRIGGER audit_no_update", "UPDATE audit SET actor = 'x' WHERE seq = 2")


def cut_audit(saved: Path, home: Home) -> None:
    doctored(
        saved, "DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"
    )


@pytest.mark.parametrize(
    "spoil",
    [
        *(wrong_key, no_key, flipped_bit, cut_short, no_manifest, torn_manifest, no_file),
        *(newer, moved_secret, forged_audit, cut_audit),
    ],
)
def test_whatever_is_wrong_is_found_before_anything_changes(
    spoil: Callable[[Path, Home], None], saved: Path, engine: Store, clock: SteppingClock
) -> None:
    spoil(saved, engine.home)
    before = tree(engine.home)
    with pytest.raises(StoreError):
        Store.restore(saved, engine.home, now=clock)
    assert tree(engine.home) == before


def test_not_while_an_engine_runs(saved: Path, engine: Store, clock: SteppingClock) -> None:
    with EngineLock.acquire(engine.home), pytest.raises(BusyError):
        Store.restore(saved, engine.home, now=clock)


def test_on_a_new_machine_with_the_exported_key(
    saved: Path, engine: Store, clock: SteppingClock, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    fresh = Home(tmp_path / "laptop-2")
    with pytest.raises(StoreError, match="missing"):
        Store.restore(saved, fresh, now=clock)
    assert not fresh.root.exists()
    key = SealKey.from_text(engine.home.key.read_text())
    done = Store.restore(saved, fresh, now=clock, key=key)
    assert done.replaced == ""
    assert open_store(fresh).get_secret("ca") == b"one"
    assert SealKey.load(fresh).same(key)


def test_over_a_store_that_is_damaged(
    saved: Path, engine: Store, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    home = engine.home
    content = bytearray(home.database.read_bytes())
    content[4096 : 4096 * 6] = bytes(4096 * 5)
    home.database.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged.*\n.*cto store restore"):
        open_store()
    done = Store.restore(saved, home, now=clock)
    assert (Path(done.replaced) / "fleet.db").read_bytes() == bytes(content)
    assert open_store().audit_verify().ok


def test_over_a_store_that_is_no_database(
    saved: Path, engine: Store, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    engine.home.database.write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="damaged"):
        open_store()
    # its epoch can't be known, so the new one is far beyond any that may have been in use
    assert Store.restore(saved, engine.home, now=clock).epoch >= 1000
    assert open_store().node("n1") is not None


@pytest.mark.parametrize("damaged", [False, True])
def test_a_journal_of_the_former_store_never_meets_the_new_one(
    damaged: bool, saved: Path, engine: Store, clock: SteppingClock, open_store: Callable[..., Store]
) -> None:
    """A store whose engine was killed leaves a journal; replayed over the restored file it would ruin it."""
    other = open_store()
    other.pin("n5", address="127.0.0.5", host_key=KEY_B, actor="a", reason="r")
    wal = engine.home.database.with_name("fleet.db-wal")
    left = wal.read_bytes()
    assert left
    other.close()
    wal.write_bytes(left)
    if damaged:
        engine.home.database.write_bytes(b"nonsense" * 4096)
    Store.restore(saved, engine.home, now=clock)
    store = open_store()
    assert store.node("n5") is None
    assert store._row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]


def test_a_backup_of_an_older_version_is_brought_up(
    home: Home, clock: SteppingClock, tmp_path: Path, open_store: Callable[..., Store], fixtures: Path
) -> None:
    old = tmp_path / "old.db"
    connection = sqlite3.connect(old)
    connection.executescript((fixtures / "store" / "0001_initial.sql").read_text())
    head = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC").fetchone()
    connection.close()
    home.create()
    write_private(home.key, (fixtures / "store" / "key").read_bytes())
    manifest = {
        "format": "cto-backup/1",
        "sha256": hashlib.sha256(old.read_bytes()).hexdigest(),
        "bytes": old.stat().st_size,
        "made_at": "",
        "controller_id": "c-1",
        "epoch": 3,
        "key_id": SealKey.load(home).id,
        "migrations": ["0001_initial"],
        "audit_seq": head[0],
        "audit_hash": head[1],
    }
    manifest_path(old).write_text(json.dumps(manifest))
    assert Store.restore(old, home, now=clock).unread == ("kn-cp-1", "new-cp-1")
    assert open_store().node("kn-cp-1").talos == "v1.13.9"  # type: ignore[union-attr]


def test_a_read_only_medium(saved: Path, engine: Store, clock: SteppingClock) -> None:
    for path in saved.parent.iterdir():
        path.chmod(0o400)
    saved.parent.chmod(0o500)
    try:
        Store.restore(saved, engine.home, now=clock)
    finally:
        saved.parent.chmod(0o700)
    assert len(list(saved.parent.iterdir())) == 2
    shutil.rmtree(saved.parent)


FILE_ACTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "shutil.copyfile", "sqlite3.connect"})


def restored_until(act: int, saved: Path, home: Home) -> bool:
    """Restores in a child that kills itself before its nth act on a file. False if it came to the end."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, _arguments: object) -> None:
            nonlocal seen
            if event not in FILE_ACTS:  # os.kill is an event too
                return
            seen += 1
            if seen == act:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            Store.restore(saved, home, now=SteppingClock())
        except BaseException:
            os._exit(70)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_anywhere_the_store_is_the_former_or_the_restored(
    saved: Path, engine: Store, clock: SteppingClock, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    # As after kill -9: what the engine did last is only in the journal.
    other = open_store()
    other.pin("n5", address="127.0.0.5", host_key=KEY_B, actor="a", reason="r")
    with_journal = tmp_path / "with-journal"
    shutil.copytree(engine.home.root, with_journal)
    other.close()
    assert (with_journal / "fleet.db-wal").stat().st_size
    outcomes = set()
    for act in itertools.count(1):
        home = Home(tmp_path / f"at-{act}")
        shutil.copytree(with_journal, home.root)
        killed = restored_until(act, saved, home)
        store = open_store(home)
        outcomes.add((store.node("n5") is not None, store.observe_only()))
        assert store._row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]
        assert store.audit_verify().ok
        store.close()
        Store.restore(saved, home, now=clock)  # and it can be done again
        if not killed:
            break
    assert outcomes == {(True, False), (False, True)}
