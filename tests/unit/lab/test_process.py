"""The lab as a process of its own, as `cto lab` starts it."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncssh
import pytest

from inventory.errors import BusyError, OperatorError
from iso.lab import client

PROBE = Path(__file__).with_name("pyinfra_probe.py")


@pytest.fixture
def home():
    # A long way down, since paths of Unix sockets may not be longer than 107 bytes.
    base = Path(tempfile.mkdtemp(prefix="lab-"))
    path = base / ("long-name-" * 12)
    path.mkdir()
    yield path
    client.stop(path)
    shutil.rmtree(base)


def test_start_is_idempotent_and_stop_is_clean(home, spec):
    assert client.info(home) is None
    assert client.stop(home) is False
    first = client.start(home, spec(mixed=(4, 1)))
    again = client.start(home, spec(mixed=(4, 1)))
    assert first.ready
    assert (again.pid, again.machines) == (first.pid, first.machines)
    assert os.getsid(first.pid) == first.pid, "it has a session of its own"
    assert {machine.state for machine in first.machines} == {"bootstrap"}
    assert stat.S_IMODE(client.socket_path(client.folder(home)).stat().st_mode) == 0o600
    with pytest.raises(BusyError):
        client.start(home, spec(mixed=(2,)))
    assert client.stop(home) is True
    assert client.info(home) is None
    assert not (client.folder(home) / "disks").exists()
    assert not client.socket_path(client.folder(home)).exists()


def test_a_second_process_refuses_to_start(home, spec):
    client.start(home, spec(mixed=(1,)))
    done = subprocess.run(
        [sys.executable, "-m", "iso.lab", str(home)], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 3
    assert "runs here already" in done.stderr


def test_addresses_that_are_taken_give_a_clear_error(home, spec, tmp_path):
    client.start(home, spec(mixed=(1,)))
    with pytest.raises(OperatorError, match="addresses can't be used") as caught:
        client.start(tmp_path, spec(mixed=(1,)))
    assert "--seed" in caught.value.fix


def test_a_killed_lab_can_start_again_and_keeps_its_disks(home, spec):
    first = client.start(home, spec(mixed=(1,)))
    (disk,) = (client.folder(home) / "disks").glob("*nvme0n1.img")
    with disk.open("r+b") as handle:
        handle.write(b"kept")
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    second = client.start(home, spec(mixed=(1,)))
    assert second.pid != first.pid
    assert second.machines[0].uuid == first.machines[0].uuid
    assert second.machines[0].host_key != first.machines[0].host_key
    assert (
        disk.read_bytes()[:4] == b"kept"
        if disk.stat().st_size < 2**20
        else disk.open("rb").read(4) == b"kept"
    )


def test_operations_and_their_refusals(home, spec):
    with pytest.raises(OperatorError, match="no lab runs"):
        client.command(home, {"op": "info"})
    name = client.start(home, spec(mixed=(1,))).machines[0].name
    armed = client.command(
        home, {"op": "fault", "machine": name, "kind": "slow", "times": 3, "options": {"seconds": 2}}
    )
    assert armed["faults"] == [{"kind": "slow", "at": "", "times": 3, "after": 0, "seconds": 2}]
    assert client.command(home, {"op": "clear", "machine": name})["faults"] == []
    events = client.command(home, {"op": "log", "machine": name})["events"]
    assert [event["event"] for event in events] == ["boot", "fault-armed"]
    assert client.command(home, {"op": "clock", "machine": name, "offset": -30})["offset"] == -30
    assert client.command(home, {"op": "disks", "machine": name})["disks"]["nvme0n1"]["written"] == 0
    for request in (
        {"op": "dance"},
        {"op": "log", "machine": "nobody"},
        {"op": "power", "machine": name, "action": "up"},
        {"op": "log"},
    ):
        with pytest.raises(OperatorError):
            client.command(home, request)


async def test_pyinfras_own_connector_works(home, spec, tmp_path):
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    info = client.start(home, spec(mixed=(1,), authorized_keys=key.export_public_key().decode()))
    machine = info.machines[0]
    known = tmp_path / "known_hosts"
    known.write_text(f"[{machine.address}]:{machine.ssh_port} {machine.host_key}\n")
    arguments = [machine.address, str(machine.ssh_port), str(tmp_path / "key"), str(known)]
    done = subprocess.run(
        [sys.executable, PROBE, *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["hostname"] == f"cto-{machine.enroll_id}"
    assert found["distribution"] == "Debian"
    assert found["changed"] == 1
    commands = [
        event["argv"]
        for event in client.command(home, {"op": "log", "machine": machine.name})["events"]
        if event["event"] == "command"
    ]
    assert ["wipefs", "-a", "/dev/nvme0n1"] in commands
