"""The lab of virtual machines without booting any: what machines claim to be, what their serial lines say of them.

QEMU itself is real where it is started; what a serial line says is composed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.app.lab_virtual import pin_all
from inventory.errors import OperatorError, Unreachable
from iso.lab import kinds
from iso.qemu import lab
from iso.qemu.hardware import wishes
from iso.qemu.spec import Disk, Identity, VmSpec, command
from iso.qemu.vm import Vm

NAMES = ("qemu-cp-1", "qemu-cp-2", "qemu-cp-3")
AMD64 = [kind for kind in kinds.kinds() if kind != "raspberry-pi-5"]


def test_plain_machines_have_two_kinds_of_disk() -> None:
    first, second, _ = wishes(NAMES)
    assert [(disk.kind, disk.serial) for disk in first.disks] == [
        ("nvme", "NVME0001"),
        ("virtio", "VIRTIO0001"),
    ]
    assert first.identity.serial == "SN-QEMU-CP-1"
    assert first.identity.uuid != second.identity.uuid
    assert wishes(NAMES) == wishes(NAMES)


@given(st.lists(st.sampled_from(AMD64), min_size=1, max_size=4), st.integers(1, 6))
def test_kinds_are_used_in_turn(chosen: list[str], count: int) -> None:
    found = wishes([f"n{number}" for number in range(count)], chosen)
    for at, wish in enumerate(found):
        assert wish.identity.vendor == kinds.make(chosen[at % len(chosen)], seed="x").dmi["sys_vendor"]
        assert 1 <= len(wish.disks) <= 5
        assert all(0 < len(disk.serial) <= 20 for disk in wish.disks)


def test_a_kind_that_the_image_does_not_fit_is_refused() -> None:
    with pytest.raises(OperatorError, match="arm64"):
        wishes(NAMES, ["raspberry-pi-5"])
    with pytest.raises(OperatorError, match="no hardware kind") as caught:
        wishes(NAMES, ["toaster"])
    assert "dell-r660" in caught.value.fix


FILE = """\
vendor: ACME, Inc.
product: Box 9
serial: {serial}
uuid: 4c4c4544-0058-4b10-8032-b7c04f4d3133
bios: 2.1.5
firmware: bios
disks:
  - {{kind: nvme, gib: 64, serial: S4EVNX0R, sectorSize: 4096}}
  - {{kind: scsi}}
  - {{kind: usb, gib: 8}}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "machine.yaml"
    path.write_text(text)
    return str(path)


def test_a_file_says_what_a_machine_is(tmp_path: Path) -> None:
    (wish,) = wishes(NAMES[:1], [written(tmp_path, FILE.format(serial="7XK2M13"))])
    assert wish.identity == Identity(
        "4c4c4544-0058-4b10-8032-b7c04f4d3133", "ACME, Inc.", "Box 9", "7XK2M13", "2.1.5"
    )
    assert wish.firmware == "bios"
    assert [(d.kind, d.size // 2**30, d.serial, d.sector) for d in wish.disks] == [
        ("nvme", 64, "S4EVNX0R", 4096),
        ("scsi", 32, "QEMU-CP-1-2", 512),
        ("usb", 8, "QEMU-CP-1-3", 512),
    ]
    disks = tuple(Disk(tmp_path / "d", d.kind, d.serial, d.sector) for d in wish.disks)
    line = " ".join(command(VmSpec("m", wish.identity, disks=disks), tmp_path))
    assert "manufacturer=ACME,, Inc.,product=Box 9,serial=7XK2M13" in line
    assert "nvme,drive=d0,serial=S4EVNX0R,bootindex=1,logical_block_size=4096" in line
    assert "-device virtio-scsi-pci,id=s1 " in line
    assert line.count("qemu-xhci") == 1
    assert line.index("qemu-xhci") < line.index("usb-storage")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("disks: [{kind: nvme}]\nserial: 7", "serial"),
        ("disks: []", "disks"),
        ("disks: [{kind: floppy}]", r"disks\.0\.kind"),
        ("disks: [{kind: sata, sectorSize: 4096}]", "sectors of 512"),
        ("disks: [{kind: nvme, serial: 'a,b'}]", r"disks\.0\.serial"),
        ("disks: [{kind: nvme}]\ncolour: red", "colour"),
        ("[", "no YAML"),
        ("", "the file"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(OperatorError, match=says) as caught:
        wishes(NAMES, [written(tmp_path, text)])
    assert caught.value.where.endswith("machine.yaml")
    assert caught.value.fix


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        wishes(NAMES, [str(tmp_path / "none.yaml")])


def test_two_machines_with_one_serial_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="3 machines would have the serial and the uuid") as caught:
        wishes(NAMES, [written(tmp_path, FILE.format(serial="7XK2M13"))])
    assert "a file for each machine" in caught.value.fix


STATUS = "CTO-STATUS name=cto-1 address=192.168.98.11 fingerprint=SHA256:x words=a-b-c-d-e-f work=waiting\r\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """A lab's folder with one machine, whose process is alive as far as one can see. Gives its serial log."""
    folder = tmp_path / "qemu"
    (folder / "qemu-1").mkdir(parents=True)
    program = [sys.executable, "-c", "print(flush=True); input()", str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before, the kernel may not know its command line yet
        (folder / "lab.json").write_text(json.dumps({"pids": {"qemu-1": process.pid}}))
        yield folder / "qemu-1" / "serial.log"
        process.kill()


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("", "booting"),
        (STATUS.replace("waiting", "starting"), "booting"),
        (STATUS, "bootstrap"),
        (f"{STATUS}[  244.8] reboot: Restarting system\r\nBdsDxe: loading Boot0005", "restarted"),
        (f"{STATUS}[  244.8] reboot: Restarting system\r\n{STATUS}", "bootstrap"),
    ],
)
def test_a_machine_is_what_its_serial_line_said_last(machine: Path, said: str, state: str) -> None:
    """Once installed it went on being shown as waiting for a controller, and would be pinned by old words."""
    machine.write_text(said)
    (found,) = lab.status(machine.parents[1])
    assert found.state == state
    assert found.words == "" or state != "restarted"


async def test_a_machine_that_was_installed_is_not_waited_for(machine: Path) -> None:
    machine.write_text(f"{STATUS}[  244.8] reboot: Restarting system\r\n")
    said: list[str] = []
    services: object = None  # nothing is pinned
    await pin_all(services, machine.parents[1], seconds=60, tell=said.append)  # type: ignore[arg-type]
    assert "shows no key" in said[0]


@pytest.mark.needs("qemu-system-x86_64")
def test_a_machine_that_qemu_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    """And one that it takes runs once it answers: before, its process need not be known as QEMU's."""
    identity = Identity("11111111-2222-3333-4444-555555555555")
    vm = Vm(VmSpec("bad", identity, extra=("-device", "flux-capacitor")), tmp_path / "bad")
    vm.power_on()
    with pytest.raises(Unreachable, match="flux-capacitor"):
        vm.answers()
    vm = Vm(VmSpec("good", identity, memory=32), tmp_path / "good")
    vm.power_on()
    try:
        vm.answers()
        assert str(tmp_path).encode() in Path(f"/proc/{vm.pid}/cmdline").read_bytes()
    finally:
        vm.cut_power()
