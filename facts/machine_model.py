"""The hardware model: one view of a machine, put together from its facts. Decides and chooses nothing.

Built from the bootstrap environment's facts by `hardware(facts)`; a missing fact leaves its part empty
and is named in `unknown`, so that whoever decides can see what they don't know.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from facts.machine import (
    bmc,
    boot,
    cpu,
    dimms,
    disk_ids,
    disks,
    gpus,
    links,
    memory,
    nics,
    os,
    platform,
    smart,
    tpm,
)
from facts.machine.bmc import Bmc
from facts.machine.boot import Firmware
from facts.machine.dimms import Dimm
from facts.machine.disks import Disk, Volume
from facts.machine.gpus import Gpu
from facts.snapshot import Facts

DiskKind = Literal["nvme", "ssd", "hdd", "usb", "mmc", "virtual"]

BY_ID = "/dev/disk/by-id/"
# The firmware's own identities first: they stay when a disk moves to another port or controller.
_STABLE = ("nvme-eui.", "nvme-uuid.", "wwn-", "nvme-", "scsi-3", "scsi-", "ata-", "virtio-", "mmc-", "usb-")
_VIRTUAL_MODEL = re.compile(r"QEMU|VMware|VBOX|Virtual Disk|Msft Virtual|Amazon Elastic", re.IGNORECASE)
_LIVE_MOUNTS = ("/run/live/medium", "/lib/live/mount/medium", "/run/initramfs/live", "/run/archiso", "/cdrom")
_WORDS_FOR = {"gpt": "GPT", "dos": "MBR"}


@dataclass(frozen=True, slots=True)
class HardwareCpu:
    model: str = ""
    sockets: int = 0
    cores: int = 0
    threads: int = 0
    hypervisor: str = ""  # "" on bare metal


@dataclass(frozen=True, slots=True)
class HardwareDisk:
    name: str  # "nvme0n1"
    path: str  # "/dev/nvme0n1"
    stable_path: str  # in /dev/disk/by-id where there is such a link, else `path`
    size: int  # bytes
    kind: DiskKind
    model: str = ""
    serial: str = ""
    wwid: str = ""  # as the kernel and Talos write it: "naa.5000…", "eui.…", "nvme.…"
    transport: str = ""
    removable: bool = False
    read_only: bool = False
    logical_sector: int = 512
    physical_sector: int = 512
    volumes: tuple[Volume, ...] = ()
    contents: tuple[str, ...] = ()  # what is on it now, in words; empty for a blank disk
    has_data: bool = False  # a partition table, file system or member of any kind
    mounted: bool = False
    boot_medium: bool = False  # what the running environment was started from
    healthy: bool | None = None  # SMART's own verdict; None: the disk does not say

    @property
    def labels(self) -> tuple[str, ...]:
        """Every file system and partition label on it."""
        return tuple(text for each in self.volumes for text in (each.label, each.partlabel) if text)


@dataclass(frozen=True, slots=True)
class HardwareNic:
    name: str
    mac: str
    link: bool | None = None  # None: the interface is down, so nobody knows
    speed: int = 0  # Mbit/s, 0 = unknown
    driver: str = ""
    addresses: tuple[str, ...] = ()  # with prefix length
    slot: str = ""  # PCI address; "" where it is not known


@dataclass(frozen=True, slots=True)
class Hardware:
    """Sizes are in bytes. `unknown` names the facts that are missing."""

    arch: str  # "amd64", "arm64", or what the kernel calls it
    vendor: str = ""
    product: str = ""
    board: str = ""  # SMBIOS board, or the device tree's model
    serial: str = ""
    uuid: str = ""
    bios_version: str = ""
    cpu: HardwareCpu = HardwareCpu()
    memory: int = 0
    dimms: tuple[Dimm, ...] = ()
    disks: tuple[HardwareDisk, ...] = ()
    nics: tuple[HardwareNic, ...] = ()  # hardware only, no bridges or bonds
    firmware: Firmware | Literal[""] = ""
    secure_boot: bool | None = None
    tpm: str = ""  # "2", "1", "" = none
    gpus: tuple[Gpu, ...] = ()
    bmc: Bmc | None = None
    unknown: tuple[str, ...] = ()

    @property
    def ecc(self) -> bool:
        return bool(self.dimms) and all(each.ecc for each in self.dimms)


_NEEDED = (bmc, boot, cpu, dimms, disk_ids, disks, gpus, links, memory, nics, os, platform, smart, tpm)
_ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}


def hardware(facts: Facts) -> Hardware:
    """The model of what the facts say. Never fails: a missing fact leaves its part empty."""
    maker = facts.get(platform.FACT) or platform.Platform()
    system, chip, ram = facts.get(os.FACT), facts.get(cpu.FACT), facts.get(memory.FACT)
    start, chips = facts.get(boot.FACT), facts.get(tpm.FACT)
    modules, cards, controller = facts.get(dimms.FACT), facts.get(gpus.FACT), facts.get(bmc.FACT)
    arch = (system.arch if system else "") or (chip.arch if chip else "")
    return Hardware(
        arch=_ARCHES.get(arch, arch),
        vendor=maker.vendor,
        product=maker.product,
        board=maker.board or maker.device_tree,
        serial=maker.serial,
        uuid=maker.uuid,
        bios_version=maker.bios_version,
        cpu=_cpu(chip),
        memory=ram.total if ram else 0,
        dimms=modules.items if modules else (),
        disks=_disks(facts),
        nics=_nics(facts),
        firmware=start.firmware if start else "",
        secure_boot=start.secure_boot if start else None,
        tpm=(chips.version or "?") if chips and chips.present else "",
        gpus=cards.items if cards else (),
        bmc=controller if controller and controller.present else None,
        unknown=tuple(each.FACT.name for each in _NEEDED if each.FACT.name not in facts.values),
    )


def _cpu(chip: cpu.Cpu | None) -> HardwareCpu:
    if chip is None:
        return HardwareCpu()
    return HardwareCpu(chip.model, chip.sockets, chip.cores, chip.threads, chip.hypervisor)


def _nics(facts: Facts) -> tuple[HardwareNic, ...]:
    seen = facts.get(nics.FACT)
    known = facts.get(links.FACT)
    by_name = {each.name: each for each in known.items} if known else {}
    found = []
    for nic in seen.items if seen else ():
        link = by_name.get(nic.name, links.Link(nic.name, hardware=not nic.kind))
        if link.hardware:
            known_as = (nic.name, nic.mac, link.carrier, link.speed, link.driver, nic.addresses, link.slot)
            found.append(HardwareNic(*known_as))
    return tuple(found)


def _disks(facts: Facts) -> tuple[HardwareDisk, ...]:
    seen, names, health = facts.get(disks.FACT), facts.get(disk_ids.FACT), facts.get(smart.FACT)
    ids = {each.name: each.ids for each in names.items} if names else {}
    passed = {each.path: each.passed for each in health.items} if health else {}
    return tuple(_disk(each, ids, passed) for each in (seen.items if seen else ()))


def _disk(disk: Disk, ids: Mapping[str, tuple[str, ...]], passed: Mapping[str, bool | None]) -> HardwareDisk:
    contents = tuple(_contents(disk))
    return HardwareDisk(
        name=disk.name,
        path=disk.path,
        stable_path=_stable_path(ids.get(disk.name, ()), disk.path),
        size=disk.size,
        kind=_kind(disk),
        model=disk.model,
        serial=disk.serial,
        wwid=_wwid(disk.wwn),
        transport=disk.transport,
        removable=disk.removable or disk.transport == "usb",
        read_only=disk.read_only,
        logical_sector=disk.logical_sector,
        physical_sector=disk.physical_sector,
        volumes=disk.volumes,
        contents=contents,
        has_data=bool(contents),
        mounted=disk.mounted,
        boot_medium=_is_boot_medium(disk),
        healthy=passed.get(disk.path),
    )


def _stable_path(ids: Iterable[str], path: str) -> str:
    for prefix in _STABLE:
        # The shortest of a kind: some disks also have one with a namespace or port appended.
        found = sorted((each for each in ids if each.startswith(prefix)), key=lambda each: (len(each), each))
        if found:
            return BY_ID + found[0]
    return path


def _kind(disk: Disk) -> DiskKind:
    if disk.transport == "usb":
        return "usb"
    if disk.name.startswith(("vd", "xvd")) or _VIRTUAL_MODEL.search(disk.model):
        return "virtual"
    if disk.name.startswith("nvme"):
        return "nvme"
    if disk.name.startswith("mmcblk"):
        return "mmc"
    return "hdd" if disk.rotational else "ssd"


def _wwid(wwn: str) -> str:
    """SCSI names: 0x5000… in lsblk is naa.5000… in the kernel's `wwid` file."""
    return f"naa.{wwn[2:]}" if wwn.startswith("0x") else wwn


def _is_boot_medium(disk: Disk) -> bool:
    """Our environment runs from memory, so its medium need not be mounted: a written ISO image tells."""
    mounts = [*disk.mountpoints, *(point for each in disk.volumes for point in each.mountpoints)]
    iso = disk.fstype == "iso9660" or any(each.fstype == "iso9660" for each in disk.volumes)
    return iso or any(point.startswith(_LIVE_MOUNTS) for point in mounts)


def _contents(disk: Disk) -> Iterable[str]:
    """In words, one line per thing: `GPT partition table, 2 partitions`, `sda1: vfat "EFI", 512 MiB`."""
    if disk.table:
        parts = sum(each.type == "part" for each in disk.volumes) + disk.volumes_omitted
        kind = _WORDS_FOR.get(disk.table, disk.table)
        yield f"{kind} partition table, {parts} partition{'s' if parts != 1 else ''}"
    if disk.fstype or disk.mountpoints:
        yield _described(disk.name, disk.fstype, disk.label, disk.size, disk.mountpoints)
    for each in disk.volumes:
        label = each.label or each.partlabel
        yield _described(each.name, each.fstype, label, each.size, each.mountpoints)
    if disk.volumes_omitted:
        yield f"and {disk.volumes_omitted} more"


def _described(name: str, fstype: str, label: str, size: int, mounts: tuple[str, ...]) -> str:
    text = f"{name}: {fstype or 'unknown content'}"
    text += f" {label!r}" if label else ""
    text += f", {human_size(size)}"
    return text + (f", mounted at {', '.join(mounts)}" if mounts else "")


def human_size(size: int) -> str:
    """Decimal, as disks are sold: `960 GB`, `1.92 TB`."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit in {"B", "kB"} or value >= 100 else f"{value:.3g} {unit}"
        value /= 1000
    return f"{size} B"


def human_memory(size: int) -> str:
    """Binary, as memory is sold: `32 GiB`."""
    return f"{size / 1024**3:.3g} GiB"
