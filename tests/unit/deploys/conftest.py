"""A machine for deploys: the real shell and the real dd, sha256sum and zstd on a file in /dev/shm as the disk.

The programs that need a real block device (lsblk, wipefs, blockdev, efibootmgr) are small scripts that keep
their state in a folder and write down how they were called.
"""

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.runner import ProcessRunner
from controller.adapters.ssh import AsyncSsh
from controller.adapters.ssh_keys import ensure_key
from controller.app.ports import Job, RunnerEvent
from tests.peers_ssh import SshPeer, shell

MIB = 1024 * 1024
SIZE = 8 * MIB

LSBLK = """#!/bin/sh
for last; do :; done
if [ -e "$last" ]; then cat "$STATE/lsblk.json"; else echo "lsblk: $last: not a block device" >&2; exit 32; fi
"""
WIPEFS = """#!/bin/sh
echo "wipefs $*" >> "$STATE/log"
[ -e "$STATE/wipefs-fails" ] && { echo "wipefs: error: probing initialization failed: Device busy" >&2; exit 1; }
cp "$STATE/blank.json" "$STATE/lsblk.json"
"""
LOGGED = """#!/bin/sh
echo "${0##*/} $*" >> "$STATE/log"
"""
# Boot entries are files named by number; a new one goes first in the order, as the real program does it.
EFIBOOTMGR = """#!/bin/sh
cd "$STATE/efi" || exit 1
case "$*" in
  -v) printf 'BootCurrent: 0000\\nTimeout: 0 seconds\\n'
      [ -e next ] && printf 'BootNext: %s\\n' "$(cat next)"
      printf 'BootOrder: %s\\n' "$(cat order)"
      for f in Boot*; do [ -e "$f" ] && cat "$f"; done; exit 0;;
esac
echo "efibootmgr $*" >> "$STATE/log"
[ -e "$STATE/efi-stubborn" ] && exit 0
case "$2" in
  -c) printf 'Boot0007* Talos\\tHD(1,GPT,%s,0x800,0x1000)/File(\\\\EFI\\\\BOOT\\\\BOOTX64.EFI)\\n' "$(cat partuuid)" > Boot0007
      printf '0007,%s' "$(cat order)" > order.new; mv order.new order;;
  -b) rm "Boot$3"; sed "s/$3//;s/,,/,/;s/^,//;s/,$//" order > order.new; mv order.new order;;
  -o) printf '%s' "$3" > order;;
  -N) rm -f next;;
esac
"""


class Machine:
    """The simulated machine and the way to run deploys on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.disk.write_bytes(b"\xaa" * SIZE)
        (folder / "efi").mkdir()
        (folder / "efi" / "order").write_text("0000,0001")
        (folder / "efi" / "partuuid").write_text("1111-aaaa")
        self.entry("0000", "UEFI CD")
        self.entry("0001", "UEFI PXE")
        bin_ = folder / "bin"
        bin_.mkdir()
        scripts = {"lsblk": LSBLK, "wipefs": WIPEFS, "efibootmgr": EFIBOOTMGR}
        for name in ("blockdev", "swapoff", "mdadm", "dmsetup"):
            scripts[name] = LOGGED
        for name, text in scripts.items():
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(0o755)
        self.write("blank.json", pttype=None, children=[])
        self.write("lsblk.json")

    def write(self, name: str, **changes: Any) -> None:
        part = {
            "name": "disk1",
            "path": "/dev/shm/part1",
            "type": "part",
            "fstype": "ext4",
            "mountpoints": [None],
        }
        top: dict[str, Any] = {
            "name": "disk",
            "path": str(self.disk),
            "type": "disk",
            "size": SIZE,
            "serial": "S1",
        }
        top |= {
            "wwn": "0x5000",
            "ro": False,
            "log-sec": 512,
            "fstype": None,
            "pttype": "gpt",
            "mountpoints": [None],
        }
        top |= {"children": [part], **changes}
        (self.folder / name).write_text(json.dumps({"blockdevices": [top]}))

    def entry(self, number: str, label: str, path: str = "VenHw(1)") -> None:
        (self.folder / "efi" / f"Boot{number}").write_text(f"Boot{number}* {label}\t{path}\n")

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return (
            [line for line in path.read_text().splitlines() if "--flushbufs" not in line]
            if path.exists()
            else []
        )

    @property
    def identity(self) -> dict[str, Any]:
        return {"path": str(self.disk), "size": SIZE, "serial": "S1", "wwid": "wwn-0x5000"}

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "STATE": str(self.folder)}


class Deploys:
    def __init__(self, runner: ProcessRunner, peer: SshPeer, machine: Machine) -> None:
        self._runner, self._peer, self.machine = runner, peer, machine

    def only_with(self, *tools: str) -> None:
        """From now on the machine has these programs and no other."""
        folder = self.machine.folder / "only"
        folder.mkdir()
        path = f"{self.machine.folder / 'bin'}:{os.environ['PATH']}"
        for tool in tools:
            (folder / tool).symlink_to(shutil.which(tool, path=path) or "nowhere")
        self._peer.handler = shell({**self.machine.environment, "PATH": str(folder)})

    async def run(self, deploy: str, *, dry_run: bool = False, **data: Any) -> list[RunnerEvent]:
        data.setdefault("disk", self.machine.identity)
        job = Job("j", deploy, self._peer.target(), data=data, deadline=60, dry_run=dry_run)
        async with aclosing(self._runner.run(job)) as stream:
            return [event async for event in stream]


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="cto-deploys-", dir="/dev/shm"))
    yield Machine(folder)
    shutil.rmtree(folder)


@pytest.fixture
async def deploys(machine: Machine, tmp_path: Path) -> AsyncIterator[Deploys]:
    key = tmp_path / "id"
    (tmp_path / "authorized").write_text(ensure_key(key))
    ssh = AsyncSsh(key, tmp_path / "known_hosts")
    peer = await SshPeer(shell(machine.environment)).start(tmp_path / "authorized")
    runner = ProcessRunner(key, ssh, log=tmp_path / "runner.log")
    yield Deploys(runner, peer, machine)
    await runner.close()
    await ssh.close()
    await peer.close()
