"""etcd snapshots as an operator meets them: taken, listed, read again, written out; nothing unsealed on disk."""

import asyncio
import hashlib
import json
from collections.abc import Callable

import yaml

from controller.app.snapshots import keep_snapshots
from controller.wiring import on_loop, open_services
from tests.e2e.harness import LabHome


def test_a_snapshot_is_taken_sealed_verified_and_written_out(make_lab: Callable[..., LabHome]):
    lab = make_lab("1")
    lab.apply()
    cluster = lab.machine(lab.rows("SELECT name FROM nodes")[0]["name"]).cluster
    taken = json.loads(lab.ok("etcd", "snapshot", cluster, "--output", "json").stdout)
    assert (taken["keys"], taken["reason"]) == (20, "by hand")
    [listed] = json.loads(lab.ok("etcd", "list", cluster, "--output", "json").stdout)
    assert listed["sha256"] == taken["sha256"]
    assert "whole" in lab.ok("etcd", "list").stdout

    out = lab.home / "db.snapshot"
    lab.ok("etcd", "export", taken["id"][:6], "--out", str(out))
    data = out.read_bytes()
    assert hashlib.sha256(data).hexdigest() == taken["sha256"]
    assert out.stat().st_mode & 0o777 == 0o600
    assert "20 keys at revision" in lab.ok("etcd", "verify", str(out)).stdout
    assert "does not prove" in lab.ok("etcd", "verify", taken["id"]).stdout.replace("\n", " ")

    [sealed] = (lab.home / "snapshots" / cluster).iterdir()
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert b"/registry/" in data
    assert b"/registry/" not in sealed.read_bytes()
    broken = bytearray(sealed.read_bytes())
    broken[len(broken) // 2] ^= 1
    sealed.write_bytes(broken)
    assert "does not open" in lab.expect(4, "etcd", "verify", taken["id"]).stderr
    assert "does not open" in lab.ok("etcd", "list").stdout
    assert "unknown" in lab.expect(2, "etcd", "snapshot", "unknown").stderr
    lab.check_store()


async def test_the_engine_takes_one_when_it_is_due_and_keeps_so_many(make_lab: Callable[..., LabHome]):
    lab = make_lab("1")
    written = list(yaml.safe_load_all(lab.site.read_text()))
    next(d for d in written if d["kind"] == "Cluster")["spec"]["etcdSnapshots"] = {"everyHours": 6, "keep": 1}
    lab.site.write_text(yaml.safe_dump_all(written))
    lab.apply()
    with open_services(lab.home) as services:
        async with on_loop(services), asyncio.timeout(120):
            keeping = asyncio.ensure_future(keep_snapshots(services, every=0.1))
            while not services.store.snapshots():
                await asyncio.sleep(0.05)
            keeping.cancel()
    [taken] = lab.rows("SELECT reason, keys FROM snapshots")
    assert taken == {"reason": "schedule", "keys": 20}
    assert lab.rows("SELECT every_hours, keep FROM snapshot_policies") == [{"every_hours": 6, "keep": 1}]
