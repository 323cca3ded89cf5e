"""Canaries: what opens a cluster is nowhere in clear but in the files made for it, after a whole life."""

import base64
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

from controller.app.desired import bundle_of
from controller.wiring import open_services
from inventory.lifecycle import NodeState
from tests.e2e.harness import Case

KILLED = -signal.SIGKILL
COMMANDS = (("status",), ("events",), ("node", "list"), ("cluster", "show"), ("audit", "verify"))


def canaries(home: Path, cluster: str) -> Iterator[bytes]:
    with open_services(home) as services:
        bundle = bundle_of(services, cluster)
    for pem in (bundle.os.key, bundle.etcd.key, bundle.k8s.key, bundle.k8s_service_account_key):
        body = [line for line in pem.splitlines() if line and not line.startswith("-----")]
        yield body[0].encode()  # one full line of the key's own base64
        yield base64.b64encode(pem.encode())[:64]  # and as a machine configuration carries it
    for text in (bundle.trustd_token, bundle.bootstrap_token, bundle.cluster_secret, bundle.secretbox_secret):
        yield text.encode()


def contents(case: Case) -> Iterator[bytes]:
    """What is on the machine's disks: the parts of the sparse files that were written."""
    for path in (case.lab / "lab" / "disks").glob(f"{case.name}*"):
        with path.open("rb") as disk:
            end = disk.seek(0, os.SEEK_END)
            at = 0
            while at < end:
                try:
                    start = os.lseek(disk.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break  # nothing but a hole from here on
                at = os.lseek(disk.fileno(), start, os.SEEK_HOLE)
                yield os.pread(disk.fileno(), at - start, start)


def test_no_secret_in_clear(case: Case, tmp_path: Path) -> None:
    case.apply()
    case.ok("support", "bundle", "--yes", "--out", str(tmp_path / "bundle.tar.gz"))
    told = b"".join(case.ok(*args, "--output", "json").stdout.encode() for args in COMMANDS)
    told += case.ok("plan", "-f", str(case.site), "--output", "json").stdout.encode()
    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        told += b"".join(m.read() for i in archive if (m := archive.extractfile(i)) is not None)
    kept = {p: p.read_bytes() for p in case.home.rglob("*") if p.is_file() and "clusters" not in p.parts}
    secrets = list(canaries(case.home, case.cluster))
    assert len(secrets) == 12
    assert all(len(secret) >= 20 for secret in secrets)
    for secret in secrets:
        assert secret not in told
        assert [str(path) for path, content in kept.items() if secret in content] == []
    assert json.loads(case.ok("status", "--output", "json").stdout)


def test_a_node_given_up_before_it_boots_keeps_no_keys(case: Case) -> None:
    """From `configure` on the disk holds the cluster's keys; giving the node up must take them away."""
    case.apply(code=KILLED, env={"CTO_CRASH_AT": "set-boot:before_intent"})
    assert case.node_state(case.name) == NodeState.CONFIGURED
    secrets = list(canaries(case.home, case.cluster))
    assert any(secret in disk for secret in secrets for disk in contents(case))
    case.ok("node", "reset", "-f", str(case.site), "--node", case.name, "--yes")
    assert case.node_state(case.name) == NodeState.RESET
    assert not any(secret in disk for secret in secrets for disk in contents(case))
