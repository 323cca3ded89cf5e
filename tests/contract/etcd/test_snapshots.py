"""Snapshots as this product keeps them, restored by a real etcd: the same keys, the same hash of all of them."""

import gzip
import hashlib
from importlib import resources
from pathlib import Path

import pytest

from controller.core.etcd_snapshot import inspect
from controller.store import Home
from controller.store.sealed_file import SealedReader, SealedWriter
from controller.store.secretbox import SealKey
from inventory.errors import CheckFailed
from tests.contract.etcd import judge

pytestmark = pytest.mark.needs("go")


def look(data: bytes):
    return inspect(lambda offset, size: data[offset : offset + size], len(data), where="db")


@pytest.mark.parametrize("keys", [0, 1, 2500])
def test_what_etcd_held_is_what_we_count_and_what_a_restored_one_holds(tmp_path: Path, keys: int):
    path = tmp_path / "db"
    held = judge.made(path, keys)
    found = look(path.read_bytes())
    assert (found.keys, found.revision) == (held["keys"], held["revision"])
    assert judge.restored(path) == held


def test_sealing_and_opening_changes_no_byte(tmp_path: Path):
    path, out = tmp_path / "db", tmp_path / "opened"
    held = judge.made(path, 700)
    key = SealKey.create(Home.locate(tmp_path / "home"))
    with SealedWriter(tmp_path / "sealed", key, name="x") as sealed:
        sealed.write(path.read_bytes())
        sealed.finish()
    with SealedReader(tmp_path / "sealed", key) as reader:
        assert inspect(reader.read, reader.size, where="sealed").keys == held["keys"]
        out.write_bytes(reader.read(0, reader.size))
    assert judge.restored(out) == held


def test_the_lab_serves_a_snapshot_that_etcd_restores(tmp_path: Path):
    packed = resources.files("iso.lab.talos").joinpath("etcd_snapshot.db.gz").read_bytes()
    (tmp_path / "db").write_bytes(gzip.decompress(packed))
    assert judge.restored(tmp_path / "db")["keys"] == 20


def test_what_etcd_refuses_we_refuse(tmp_path: Path):
    path = tmp_path / "db"
    judge.made(path, 50)
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    body = bytes(5 * 4096)
    for damaged in (bytes(flipped), good[:-32], good[:-4096], body + hashlib.sha256(body).digest()):
        path.write_bytes(damaged)
        with pytest.raises(CheckFailed):
            look(damaged)
        with pytest.raises(RuntimeError):
            judge.restored(path)
