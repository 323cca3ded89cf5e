"""Which etcd snapshots are due and which are dropped; reading, finding and exporting the sealed files."""

import asyncio
import gzip
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.app.snapshots import (
    due,
    export,
    find,
    keep_snapshots,
    open_snapshot,
    policies_of,
    prune,
    verify_row,
)
from controller.store import StepRef
from controller.store.base import iso
from controller.store.snapshots import SCHEDULED, SnapshotPolicy, SnapshotRow
from inventory.errors import OperatorError, StoreError
from inventory.fleet import Cluster, Fleet, Site
from inventory.lifecycle import CLUSTER_TRANSITIONS, ClusterState
from web import fleet

REAL = gzip.decompress((Path(__file__).parents[2] / "fixtures/etcd/snapshot.db.gz").read_bytes())
SHA = "426a8c7e3736ba2c6eb344705e28a3263f0e7c89b567715ba39601b9cbe7d132"


def keep(
    services, name="s1", *, cluster="berlin", reason="by hand", data=REAL, sha256=SHA, age=0.0
) -> SnapshotRow:
    """A snapshot that was taken `age` hours ago."""
    at = iso(services.clock.now() - timedelta(hours=age))
    with services.store.seal_snapshot(cluster, name) as sealed:
        sealed.write(data)
        sealed.finish()
    row = SnapshotRow(name, cluster, "cp-1", reason, at, len(data), sha256, 20, 30, 31, 1, at, actor="engine")
    services.store.add_snapshot(row)
    return row


def ready(services, policy: SnapshotPolicy | None = None):
    cluster = Cluster("berlin", "berlin", "https://10.0.0.1:6443", "1.36.3", ())
    site = Site("berlin", "acme", "UTC", ("berlin",))
    services.store.declare(Fleet("acme", {"berlin": site}, {"berlin": cluster}, {}), actor="test")
    if policy is not None:
        services.store.declare_snapshot_policies({"berlin": policy})
    row = services.store.cluster("berlin")
    return replace(row, state=ClusterState.READY, verified_at=iso(services.clock.now()))


def test_a_verified_cluster_gets_one_as_often_as_the_file_says(services):
    row = ready(services)
    assert due(services, row)
    assert not due(services, replace(row, verified_at=""))
    assert not due(services, replace(row, state=ClusterState.PLANNED))
    keep(services, age=11.9)
    assert not due(services, row)
    services.clock.at += timedelta(minutes=10)
    assert due(services, row)
    services.store.note_verified("s1", "it is damaged")
    assert due(services, row)
    keep(services, "s2")
    assert not due(services, row)
    services.store.declare_snapshot_policies({"berlin": SnapshotPolicy(0, 1)})
    services.clock.at += timedelta(days=9)
    assert not due(services, row)


def verified(services) -> None:
    """The cluster of `ready`, as it is after its installation; its machines are gone."""
    store = services.store
    store.start_engine(os.getpid())
    run = store.queue_run("apply", {}, actor="test", options={})
    for transition in CLUSTER_TRANSITIONS:
        step = store.begin(StepRef(run, "cluster", "berlin", transition.step), detail={})
        store.finish(step, outcome="done", detail={})


async def one_look(services) -> None:
    """What the engine does once a minute."""

    class Once(type(services.clock)):
        async def sleep(self, seconds):
            raise asyncio.CancelledError

    services.__dict__["clock"] = clock = Once()
    clock.at = services.clock.at
    with pytest.raises(asyncio.CancelledError):
        await keep_snapshots(services)


async def test_one_that_is_due_and_fails_needs_a_person_until_there_is_a_good_one(services):
    ready(services)
    verified(services)
    keep(services, age=13)
    clock = services.clock
    await one_look(services)
    services.__dict__["clock"] = clock
    services.queries.clusters()
    (need,) = fleet.needs_of(services.queries, clock.now())
    assert (need.subject, need.tone) == ("cluster/berlin", "warn")
    assert "no control plane that could give a snapshot; the last good one is 13 h old" in need.text
    assert "→" in need.text
    assert "cto etcd snapshot berlin" in need.text
    (late,) = fleet.needs_of(services.queries, clock.now() + timedelta(hours=12))
    assert late.tone == "bad"
    assert "1 d 1 h old" in late.text

    keep(services, "s2")
    assert fleet.needs_of(services.queries, clock.now()) == []
    assert [e.kind for e in services.queries.events()].count("SnapshotFailed") == 1


async def test_it_says_so_if_there_never_was_a_good_one(services):
    ready(services)
    verified(services)
    await one_look(services)
    (need,) = fleet.needs_of(services.queries, services.clock.now())
    assert need.tone == "bad"
    assert "there is no good one" in need.text


def test_the_policy_comes_from_the_site_file(services):
    settings = {"etcdSnapshots": {"everyHours": 6}}
    cluster = Cluster("a", "s", "https://h:6443", "1.36.3", (), settings=settings)
    plain = Cluster("b", "s", "https://h:6443", "1.36.3", ())
    found = policies_of(Fleet("o", {}, {"a": cluster, "b": plain}, {}))
    assert found == {"a": SnapshotPolicy(6, 14), "b": SnapshotPolicy(12, 14)}


def test_too_many_and_too_old_ones_go_and_the_newest_whole_one_stays(services):
    ready(services, SnapshotPolicy(12, 2))
    for number in range(4):
        keep(services, f"clock{number}", reason=SCHEDULED, age=100 - number)
    keep(services, "old", reason="before b joins", age=31 * 24)
    keep(services, "other", cluster="munich", reason="before b joins", age=31 * 24)
    assert prune(services, "berlin") == 3
    left = [row.id for row in services.store.snapshots("berlin")]
    assert left == ["clock3", "clock2"]
    folder = services.home.snapshots / "berlin"
    assert sorted(path.name for path in folder.iterdir()) == ["clock2.sealed", "clock3.sealed"]
    assert prune(services, "munich") == 0  # the only one there is

    for name in left:
        services.store.note_verified(name, "damaged")
    keep(services, "whole", reason=SCHEDULED, age=90 * 24)
    assert prune(services, "berlin") == 0
    services.store.declare_snapshot_policies({"berlin": SnapshotPolicy(12, 1)})
    prune(services, "berlin")
    assert "whole" in [row.id for row in services.store.snapshots("berlin")]


def test_what_a_dead_engine_left_behind_goes_after_a_day(services):
    ready(services)
    keep(services)
    folder = services.home.snapshots / "berlin"
    now = services.clock.now().timestamp()
    for name, age in ((".x.sealed.part", 90_000), ("y.sealed", 90_000), ("young.sealed", 3600)):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (now - age, now - age))
    os.utime(folder / "s1.sealed", (now - 900_000, now - 900_000))
    prune(services, "berlin")
    assert sorted(path.name for path in folder.iterdir()) == ["s1.sealed", "young.sealed"]


async def test_it_is_read_again_and_what_is_wrong_is_noted(services):
    row = keep(services)
    assert await verify_row(services, row) == ""
    path = services.store.snapshot_path("berlin", "s1")
    other = keep(services, "s2", data=REAL[:-32])
    assert "cut short" in await verify_row(services, other)
    exchanged = keep(services, "s3", sha256="0" * 64)
    assert await verify_row(services, exchanged) == "the file is not the one that was taken"
    path.unlink()
    assert "can't be read" in await verify_row(services, row)
    assert all(each.problem for each in services.store.snapshots())
    kinds = [event.kind for event in services.queries.events() if event.subject == "cluster/berlin"]
    assert kinds.count("SnapshotDamaged") == 3


async def test_one_is_found_by_the_beginning_of_its_id_or_as_a_file(services, tmp_path):
    row = keep(services, "abc1")
    keep(services, "abd2")
    path = services.store.snapshot_path("berlin", "abc1")
    assert find(services, "abc") == (path, row)
    assert find(services, str(path)) == (path, row)
    plain = tmp_path / "db"
    plain.write_bytes(REAL)
    assert find(services, str(plain)) == (plain, None)
    with open_snapshot(services, plain) as opened:
        assert opened.inspect().sha256 == SHA
        assert b"".join([part async for part in opened.parts()]) == REAL
    with pytest.raises(OperatorError, match="2 snapshots begin"):
        find(services, "ab")
    for name in ("x", ""):
        with pytest.raises(OperatorError, match="there is no snapshot"):
            find(services, name)


async def test_it_is_written_out_once_unsealed_and_that_is_told(services, tmp_path):
    row, out = keep(services), tmp_path / "out.db"
    await export(services, row, out, actor="me")
    assert out.read_bytes() == REAL
    assert out.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OperatorError, match="such a file already"):
        await export(services, row, out, actor="me")
    assert "SnapshotExported" in [event.kind for event in services.queries.events()]
    wrong = keep(services, "s2", sha256="0" * 64)
    with pytest.raises(StoreError, match="not the one"):
        await export(services, wrong, tmp_path / "other", actor="me")
    assert not (tmp_path / "other").exists()
    assert services.store.audit_verify().ok
