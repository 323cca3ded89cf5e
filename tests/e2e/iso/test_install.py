"""The program installs a machine from the image: plan, stream, configuration, boot order, reboot, and back after a cut.

What is installed is no Talos, so the machine's way ends at `booting`: the tests stop there and say so.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from inventory.errors import Unreachable
from iso.qemu.spec import Disk, VmSpec
from iso.qemu.vm import Vm
from roles import gpt
from roles.installer import CONFIG_FILE, CONFIG_LABEL
from tests.e2e.harness import ProgramHome, told, until
from tests.e2e.iso import standin
from tests.e2e.iso.conftest import CACHE, STATUS, Image, blank_disk, direct, free_port, identity, site_text

MIB = 1024 * 1024


@dataclass(frozen=True)
class Machine:
    """A machine with an empty disk that was started from the image, and the fleet it is to be in."""

    name: str
    vm: Vm
    disk: Path
    port: int
    home: ProgramHome
    stand_in: standin.StandIn

    @property
    def site(self) -> Path:
        return self.home.home / f"{self.name}.yaml"

    def boot(self) -> None:
        """Waits for the screen's words and pins the machine by them."""
        words = self.vm.wait_for(STATUS)[4].replace("-", " ")
        address = f"127.0.0.1:{self.port}"
        self.home.ok(
            "node", "add", self.name, "--address", address, "--words", words, "--replace", timeout=300
        )

    def write_site(self) -> None:
        image = {
            "talos": "1.13.9",
            "url": self.stand_in.path.absolute().as_uri(),
            "sha256": self.stand_in.sha256,
        }
        self.site.write_text(site_text(self.name, "127.0.0.1", self.port, image))

    def apply(self) -> "subprocess.Popen[str]":
        return self.home.start("apply", "-f", str(self.site), "--yes")

    def configuration(self) -> str:
        """What stands on the disk where Talos looks for it."""
        volume = self.table().named(CONFIG_LABEL)
        assert volume is not None
        source = f"{self.disk}@@{volume.first_lba * 512}"
        return subprocess.run(
            ["mtype", "-i", source, f"::{CONFIG_FILE}"], capture_output=True, text=True, check=True
        ).stdout

    def table(self) -> gpt.Table:
        with self.disk.open("rb") as file:

            def read(offset: int, length: int) -> bytes:
                file.seek(offset)
                return file.read(length)

            return gpt.parse(read, self.disk.stat().st_size // 512)

    def holds_the_image(self) -> bool:
        """Partition by partition, since the table itself is meant to differ."""
        table = self.table()
        raw = self.stand_in.raw
        for label in ("EFI", "BIOS", "BOOT", "META"):
            part = table.named(label)
            assert part is not None
            start, size = table.offset(part), table.size(part)
            with self.disk.open("rb") as file:
                file.seek(start)
                if file.read(size) != raw[start : start + size]:
                    return False
        return True


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> standin.StandIn:
    return standin.build(tmp_path_factory.mktemp("standin"))


@pytest.fixture
def make(
    image: Image, start: Callable[..., Vm], stand_in: standin.StandIn, tmp_path: Path
) -> Callable[..., Machine]:
    """`make(name, prepared=…)`: a machine with power on and an empty disk. `prepared`: from an image of its own."""

    def started(name: str, *, prepared: bool = False, **options: object) -> Machine:
        disk, port = blank_disk(tmp_path / "disk"), free_port()
        medium = tmp_path / f"{name}.iso" if prepared else image.iso
        spec = VmSpec(
            name,
            identity(name),
            medium=medium,
            disks=(Disk(disk, "virtio", f"DISK-{name}"),),
            ssh_port=port,
            memory=4096,  # what an appliance needs by the product's own rules
            **options,  # type: ignore[arg-type]
        )
        made = Machine(name, Vm(spec, tmp_path / "vm"), disk, port, image.home, stand_in)
        made.write_site()
        if prepared:
            prepare(made, medium)
        return replace(made, vm=start(spec))

    return started


def prepare(machine: Machine, medium: Path) -> None:
    """An image for this node only."""
    told_ = machine.home.ok(
        *("iso", "build", "--node", machine.name, "--file", str(machine.site), "--countdown", "5"),
        *("--out", str(medium), "--cache", str(CACHE)),
        timeout=600,
    ).stdout
    assert f"the SSH host key of {machine.name}" in told_
    assert "This file is a secret" in told_
    assert medium.stat().st_mode & 0o777 == 0o600


def ended(process: "subprocess.Popen[str]", *, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def installed(machine: Machine) -> str:
    """Applies, waits for the marker of what was installed, and looks at the disk. Gives what was said."""
    machine.vm.mark()
    running = machine.apply()
    try:
        reached = until(
            lambda: machine.home.node_state(machine.name) == "booting" or running.poll() is not None,
            "the node was told to boot",
            seconds=900,
        )
        assert reached
        assert running.poll() is None, told("apply", ended(running), "ended early")
        found = machine.vm.wait_for(rf"{standin.MARKER} platform=(\w+)")
    finally:
        running.kill()  # it waits for a Talos that this is not
        done = ended(running)
    assert found[1] == ("pc" if machine.vm.spec.firmware == "bios" else "efi"), told("apply", done, "x")
    machine.vm.cut_power()
    assert machine.holds_the_image()
    assert "machine:" in machine.configuration()
    status = json.loads(machine.home.ok("status", "--output", "json").stdout)
    assert "booting" in json.dumps(status)
    return done.stdout


def test_a_node_is_installed_from_its_own_image_without_a_key_pressed(make: Callable[..., Machine]) -> None:
    machine = make("inst", prepared=True, firmware="uefi")
    machine.vm.wait_for(r"work=inst:_will_be_installed;_starting_in_\d")
    machine.vm.wait_for("work=waiting_for_a_controller")
    installed(machine)


SAME = "the same machine as before, by uuid, serial, mac"


def test_a_power_cut_while_writing_leaves_a_machine_that_can_be_finished(
    make: Callable[..., Machine], start: Callable[..., Vm], image: Image
) -> None:
    """And which is known again at each start of the image, whatever its host key is then."""
    machine = make("cut", rate=4 * MIB)
    machine.boot()
    machine.vm.mark()
    running = machine.apply()
    try:
        machine.vm.wait_for(r"work=installing_\d+_%:\S*written", unless=lambda: running.poll() is not None)
    except Unreachable as error:
        raise AssertionError(told("apply", ended(running), str(error))) from error
    machine.vm.cut_power()
    failed = ended(running)
    assert failed.returncode == 4, told("apply", failed, "did not say that the node was lost")
    with machine.disk.open("rb") as file:
        assert file.read(MIB) == bytes(MIB)
    machine.vm.power_on()
    machine.boot()
    assert SAME in installed(machine)
    comes_back(machine, start, image)


def comes_back(machine: Machine, start: Callable[..., Vm], image: Image) -> None:
    """Installed, and started from the image again, as if its boot order had been changed."""
    spec = replace(machine.vm.spec, medium=None, direct=direct(image.files), rate=0)
    again = replace(machine, vm=start(spec))
    again.vm.wait_for(STATUS)
    refused = ended(again.apply())
    assert refused.returncode == 4, told("apply", refused, "took another host key")
    assert "into the bootstrap environment again" in refused.stdout + refused.stderr
    again.boot()
    running = again.apply()  # it would install once more: what is on the disk is its own
    try:
        assert any(SAME in line for line in running.stdout or ()), "it did not know the machine"
    finally:
        running.kill()
        ended(running)
