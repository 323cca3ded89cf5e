"""A lab of virtual machines that outlives the command that started it: up, status, down.

What runs is written down in a folder; a pid alone proves nothing. Pins nothing: screens say what to trust.
"""

import json
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from inventory.errors import OperatorError, RefusedError
from iso.qemu import kvm
from iso.qemu.bridge import Bridge
from iso.qemu.hardware import DiskWish, Wish, wishes
from iso.qemu.members import Member, members
from iso.qemu.spec import Disk, VmSpec, variables_template
from iso.qemu.vm import Vm

_STATUS = re.compile(r"CTO-STATUS name=(\S+) address=(\S+) fingerprint=(\S+) words=(\S+) work=(\S*)")
_RESTARTS = "reboot: Restarting system"  # Linux, kernel/reboot.c: the last that it says
_NAMESPACE, _HOST_LINK = "cto-lab", "cto-lab0"


@dataclass(frozen=True, slots=True)
class LabVm:
    """`state`: off, booting, bootstrap (the image answers), restarted (it left the image: what it starts now,
    be it what was installed, says nothing that we know).
    """

    name: str
    state: str
    address: str = ""
    words: str = ""
    work: str = ""
    fingerprint: str = ""  # of the SSH host key of this boot
    serial_log: str = ""


def up(
    folder: Path, image: Path, count: int, *, memory: int = 4096, hardware: Sequence[str] = ()
) -> list[LabVm]:
    """Starts `count` machines from `image` on a bridge that this computer is on too. One lab at a time.

    `hardware`: what they claim to be, see `iso.qemu.hardware`. All of them run when this returns, or none.
    """
    if os.geteuid() != 0:
        raise RefusedError("virtual machines on a bridge need root", fix="run it with sudo")
    if _running(folder):
        return status(folder)
    machines = members(count)
    asked = wishes([member.name for member in machines], hardware)
    if Path("/run/netns", _NAMESPACE).exists():
        fix = f"cto lab down with its home, or: ip netns delete {_NAMESPACE}"
        raise RefusedError("another home's virtual machines run on this computer", fix=fix)
    tools_of_lab()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    specs = [_spec(folder, image, member, wish, memory) for member, wish in zip(machines, asked, strict=True)]
    _start(folder, specs, {member.mac: member.address for member in machines})
    return status(folder)


def _spec(folder: Path, image: Path, member: Member, wish: Wish, memory: int) -> VmSpec:
    """The machine as QEMU is told, without its place on the bridge. Makes its disks."""
    return VmSpec(
        member.name,
        wish.identity,
        firmware=wish.firmware,
        medium=image.absolute(),
        disks=_disks(folder / member.name, wish.disks),
        mac=member.mac,
        memory=memory,
    )


def _start(folder: Path, specs: Sequence[VmSpec], reserved: Mapping[str, str]) -> None:
    accelerator = kvm.accelerator()
    bridge, started = Bridge(_NAMESPACE, folder), list[Vm]()
    try:
        bridge.start(reserved)
        bridge.join_host(_HOST_LINK)
        for number, spec in enumerate(specs, 1):
            plugged = replace(spec, tap=bridge.tap(f"tap{number}"), accelerator=accelerator)
            vm = Vm(plugged, folder / spec.name, prefix=bridge.inside)
            started.append(vm)
            vm.power_on()
        for vm in started:
            vm.answers()
        pids = {"dnsmasq": bridge.pid, **{vm.spec.name: vm.pid for vm in started}}
        (folder / "lab.json").write_text(json.dumps({"pids": pids, "accelerator": accelerator}))
    except BaseException:  # also a Ctrl-C: without its record nobody would end what runs
        for vm in started:
            vm.cut_power()
        Bridge.leave_host(_HOST_LINK)
        bridge.stop()
        raise


def tools_of_lab() -> None:
    """Refuses with the Debian packages' names if something is missing."""
    packages = {"qemu-system-x86_64": "qemu-system-x86", "dnsmasq": "dnsmasq-base", "ip": "iproute2"}
    missing = [package for program, package in packages.items() if shutil.which(program) is None]
    missing += [] if variables_template("uefi").exists() else ["ovmf"]
    if missing:
        fix = f"apt-get install --no-install-recommends {' '.join(missing)}"
        raise OperatorError("programs for virtual machines are missing", fix=fix)


def _disks(folder: Path, asked: Sequence[DiskWish]) -> tuple[Disk, ...]:
    """Empty files that take up only what is written to them."""
    folder.mkdir(parents=True)
    found = []
    for number, disk in enumerate(asked, 1):
        path = folder / f"disk{number}-{disk.kind}.raw"
        with path.open("wb") as file:
            file.truncate(disk.size)
        found.append(Disk(path, disk.kind, disk.serial, disk.sector))
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
    if _RESTARTS in text[said[-1].end() :]:
        return LabVm(folder.name, "restarted", address, serial_log=str(log))
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
