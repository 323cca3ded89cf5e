"""A machine that is set up by itself, by keys on its own screen, from an image that carries all it needs.

No network beyond the machine, no other computer; a power cut in the middle; the record is on a stick.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from iso.qemu.spec import Disk, VmSpec
from iso.qemu.vm import Vm
from tests.e2e.harness import ProgramHome
from tests.e2e.iso import standin
from tests.e2e.iso.conftest import (
    CACHE,
    STATUS,
    Image,
    blank_disk,
    direct,
    free_port,
    identity,
    site_text,
    unpack,
)

MIB = 1024 * 1024


@dataclass(frozen=True)
class Screen:
    """The machine's first console, read over SSH: the screen itself is pixels."""

    vm: Vm
    home: ProgramHome
    port: int

    def says(self, command: str) -> str:
        options = (
            "StrictHostKeyChecking=no",
            f"UserKnownHostsFile={self.vm.folder / 'any'}",
            "LogLevel=ERROR",
        )
        argv = ["ssh", "-F", "none", "-i", self.home.home / "ssh" / "id_ed25519", "-p", str(self.port)]
        argv += [part for option in options for part in ("-o", option)]
        (self.vm.folder / "any").unlink(missing_ok=True)  # its key is another at each start
        done = subprocess.run(
            [*argv, "root@127.0.0.1", command], capture_output=True, text=True, timeout=180, check=False
        )
        return done.stdout

    def shows(self, text: str, *, cpu: float = 600) -> str:
        """Waits as long as the machine had no more than `cpu` seconds of processor time."""
        until_, found = self.vm.cpu_seconds + cpu, ""
        while text not in found:
            found = self.says("fold -w 80 /dev/vcs1 | tr -c '[:print:]\\n' '?'")
            assert self.vm.running, self.vm.serial()[-2000:]
            assert self.vm.cpu_seconds < until_, f"{text!r} is not on the screen:\n{found}"
            time.sleep(3)
        return found


@pytest.mark.needs("mkfs.ext4", "debugfs", "ssh")
def test_an_air_gapped_appliance_sets_itself_up_and_survives_a_power_cut(
    image: Image, start: Callable[..., Vm], tmp_path: Path
) -> None:
    made = standin.build(tmp_path / "mirror")  # stands for the network while the image is built
    spec = {"talos": "1.13.9", "url": f"https://factory.example/{made.path.name}"}
    site = tmp_path / "site.yaml"
    site.write_text(site_text("self", "10.0.2.15", 22, spec))
    medium = tmp_path / "self.iso"
    told = image.home.ok(
        *("iso", "build", "--site", str(site), "--no-enroll", "--air-gapped", "--output", str(medium)),
        *("--cache", str(CACHE)),
        env={"CTO_IMAGES": str(made.path.parent)},
        timeout=900,
    ).stdout
    assert f"https://factory.example/{made.path.name} (SHA-256 {made.sha256})" in told
    assert "registryMirrors" in told  # what the image can't carry is said
    assert medium.stat().st_mode & 0o777 == 0o644
    stick, disk, port = tmp_path / "stick", blank_disk(tmp_path / "disk"), free_port()
    subprocess.run(["mkfs.ext4", "-q", "-L", "KEEP", stick, "256M"], check=True)
    disks = (Disk(disk, "virtio", "DISK-self"), Disk(stick, "virtio", "STICK"))
    unpack(medium, tmp_path / "files", payload=True)
    same = VmSpec("self", identity("self"), disks=disks, ssh_port=port, memory=4096, isolated=True)
    # Firmware and loader are for the second start, which has to come back to the medium.
    vm = start(replace(same, direct=direct(tmp_path / "files"), rate=4 * MIB))
    set_up(Screen(vm, image.home, port), again=False)
    vm.wait_for(r"work=installing_\d+_%:\S*written")
    vm.cut_power()
    with disk.open("rb") as file:
        assert file.read(MIB) == bytes(MIB)  # so it starts from the medium again
    vm = start(replace(same, medium=medium))
    set_up(Screen(vm, image.home, port), again=True)
    vm.wait_for(f"{standin.MARKER} platform=pc")
    vm.cut_power()
    listed = subprocess.run(
        ["debugfs", "-R", "ls /cto", stick], capture_output=True, text=True, check=True
    ).stdout
    assert "fleet.db" in listed
    assert "key" in listed


def set_up(screen: Screen, *, again: bool) -> None:
    """By keys, from the overview to the yes."""
    screen.vm.wait_for(STATUS)
    screen.vm.mark()
    screen.vm.press("f2")
    screen.shows("Where shall the fleet's record")
    screen.vm.press("ret")
    if again:
        screen.shows("has the record of an earlier run")
    screen.shows("Do this?")
    assert "10.0.2.15" in screen.says("ip -4 address")
    screen.vm.press("y", "ret")
