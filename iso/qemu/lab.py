"""A lab of virtual machines that outlives the command that started it: up, status, down.

What runs is written down in a folder; a pid alone proves nothing. Pins nothing: screens say what to trust.
"""

import json
import os
import re
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID, uuid5

from inventory.errors import OperatorError, RefusedError
from iso.qemu import kvm
from iso.qemu.bridge import Bridge
from iso.qemu.members import members
from iso.qemu.spec import Disk, Identity, VmSpec, variables_template
from iso.qemu.vm import Vm

_NAMES = UUID("0f9c7e54-7d6b-5f1e-9f0a-43d1a9a0b0c7")
_STATUS = re.compile(r"CTO-STATUS name=(\S+) address=(\S+) fingerprint=(\S+) words=(\S+) work=(\S*)")
_NAMESPACE, _HOST_LINK = "cto-lab", "cto-lab0"
_DISK = 32 * 2**30  # sparse


@dataclass(frozen=True, slots=True)
class LabVm:
    """`state`: off, booting, bootstrap (the image answers), installed (something else runs)."""

    name: str
    state: str
    address: str = ""
    words: str = ""
    work: str = ""
    fingerprint: str = ""  # of the SSH host key of this boot
    serial_log: str = ""


def up(folder: Path, image: Path, count: int, *, memory: int = 4096, firmware: str = "uefi") -> list[LabVm]:
    """Starts `count` machines from `image` on a bridge that this computer is on too. One lab at a time."""
    if os.geteuid() != 0:
        raise RefusedError("virtual machines on a bridge need root", fix="run it with sudo")
    if _running(folder):
        return status(folder)
    if Path("/run/netns", _NAMESPACE).exists():
        fix = f"cto lab down with its home, or: ip netns delete {_NAMESPACE}"
        raise RefusedError("another home's virtual machines run on this computer", fix=fix)
    tools_of_lab()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    accelerator = kvm.accelerator()
    machines = members(count)
    bridge = Bridge(_NAMESPACE, folder)
    bridge.start({item.mac: item.address for item in machines})
    bridge.join_host(_HOST_LINK)
    pids = {"dnsmasq": bridge.pid}
    for number, member in enumerate(machines, 1):
        name = member.name
        spec = VmSpec(
            name,
            _identity(name),
            firmware="uefi" if firmware == "uefi" else "bios",
            medium=image.absolute(),
            disks=_disks(folder / name, number),
            mac=member.mac,
            tap=bridge.tap(f"tap{number}"),
            memory=memory,
            accelerator=accelerator,
        )
        vm = Vm(spec, folder / name, prefix=bridge.inside)
        vm.power_on()
        pids[name] = vm.pid
    (folder / "lab.json").write_text(json.dumps({"pids": pids, "accelerator": accelerator}))
    return status(folder)


def tools_of_lab() -> None:
    """Refuses with the Debian packages' names if something is missing."""
    packages = {"qemu-system-x86_64": "qemu-system-x86", "dnsmasq": "dnsmasq-base", "ip": "iproute2"}
    missing = [package for program, package in packages.items() if shutil.which(program) is None]
    missing += [] if variables_template("uefi").exists() else ["ovmf"]
    if missing:
        fix = f"apt-get install --no-install-recommends {' '.join(missing)}"
        raise OperatorError("programs for virtual machines are missing", fix=fix)


def _identity(name: str) -> Identity:
    return Identity(str(uuid5(_NAMES, name)), "Lab", "Virtual Machine", f"SN-{name.upper()}")


def _disks(folder: Path, number: int) -> tuple[Disk, ...]:
    """An NVMe and a virtio disk, so that there is something to choose."""
    folder.mkdir(parents=True)
    kinds = (("nvme", f"NVME{number:04d}"), ("virtio", f"VIRTIO{number:04d}"))
    found = []
    for kind, serial in kinds:
        path = folder / f"{kind}.raw"
        with path.open("wb") as file:
            file.truncate(_DISK)
        found.append(Disk(path, "nvme" if kind == "nvme" else "virtio", serial))
    return tuple(found)


def status(folder: Path) -> list[LabVm]:
    """The machines as their serial ports tell; empty if there is no such lab."""
    pids = _pids(folder)
    return [_look(folder / name, alive=_ours(pid, folder)) for name, pid in pids.items() if name != "dnsmasq"]


def _look(folder: Path, *, alive: bool) -> LabVm:
    log = folder / "serial.log"
    text = log.read_bytes().decode("utf-8", "replace") if log.exists() else ""
    said = list(_STATUS.finditer(text))
    if not alive or not said:
        return LabVm(folder.name, "booting" if alive else "off", serial_log=str(log))
    _, address, fingerprint, words, work = said[-1].groups()
    state = "bootstrap" if address != "-" and work != "starting" else "booting"
    work, words = work.replace("_", " "), words.replace("-", " ")
    return LabVm(folder.name, state, address, words, work, fingerprint, str(log))


def down(folder: Path) -> bool:
    """Ends the machines, removes their disks and the network. False if there was no lab."""
    pids = _pids(folder)
    for pid in pids.values():
        if _ours(pid, folder):
            os.kill(pid, signal.SIGKILL)
    if pids:
        Bridge.leave_host(_HOST_LINK)
        Bridge(_NAMESPACE, folder).stop()
    shutil.rmtree(folder, ignore_errors=True)
    return bool(pids)


def _running(folder: Path) -> bool:
    return any(_ours(pid, folder) for pid in _pids(folder).values())


def _pids(folder: Path) -> dict[str, int]:
    record = folder / "lab.json"
    if not record.exists():
        return {}
    try:
        return {str(name): int(pid) for name, pid in json.loads(record.read_text())["pids"].items()}
    except (ValueError, KeyError) as error:
        fix = "end its qemu processes by hand, then remove the folder"
        raise OperatorError("this lab's record is damaged", where=str(record), fix=fix) from error


def _ours(pid: int, folder: Path) -> bool:
    """Whether the process still is the one that was started: its command line names our folder."""
    try:
        return str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def plain(machines: list[LabVm]) -> list[dict[str, str]]:
    return [asdict(machine) for machine in machines]
