"""The disks and what is on each of them now: partitions, file systems, mounts. No health: see `smart`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facts.limits import capped, flag, load_json, mapping, maybe_number, number, sequence, word
from facts.spec import FactError, FactSpec

# GPT has room for 128 partitions; device-mapper volumes on top of them count too.
_MAX_VOLUMES = 128
# What the kernel names a disk; anything else would end up in somebody's command or path.
_NAME = re.compile(r"[A-Za-z0-9._!-]{1,64}")
_PATH = re.compile(r"/dev/(?:[A-Za-z0-9._!-]+/)*[A-Za-z0-9._!-]+")
# Not disks that anything can be installed on, though lsblk may call them so.
_NOT_A_DISK = re.compile(r"(?:loop|ram|zram|sr|fd|nbd|dm-|md)\d+|mmcblk\d+(?:boot\d+|rpmb|gp\d+)")


@dataclass(frozen=True, slots=True)
class Volume:
    """A partition, or anything above it (LUKS, LVM, RAID). Texts are "" where there is nothing."""

    name: str
    type: str  # "part", "crypt", "lvm", "raid1", …
    size: int
    fstype: str = ""
    label: str = ""  # of the file system
    partlabel: str = ""  # of the GPT entry
    partuuid: str = ""
    mountpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    name: str  # "nvme0n1"
    path: str
    size: int  # bytes
    model: str = ""
    serial: str = ""
    wwn: str = ""
    rotational: bool = False
    transport: str = ""  # "nvme", "sata", "sas", "usb", …
    read_only: bool = False
    removable: bool = False
    logical_sector: int = 512
    physical_sector: int = 512
    table: str = ""  # "gpt", "dos"
    fstype: str = ""  # a file system or member straight on the disk
    label: str = ""
    mountpoints: tuple[str, ...] = ()  # of the disk itself
    mounted: bool = False  # anything on it is mounted or used as swap
    volumes: tuple[Volume, ...] = ()
    volumes_omitted: int = 0


@dataclass(frozen=True, slots=True)
class Disks:
    items: tuple[Disk, ...]
    omitted: int = 0


def _mounts(row: Mapping[str, Any]) -> tuple[str, ...]:
    """`mountpoints` is a list that may hold null; before util-linux 2.37 there is one `mountpoint`."""
    values = row.get("mountpoints")
    found = values if isinstance(values, list) else [row.get("mountpoint")]
    return tuple(text for value in found[:16] if (text := word(value)))


def _below(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything on a device, in lsblk's order. The JSON depth limit bounds the recursion."""
    for child in sequence(row.get("children") or [], what="children of a disk"):
        inner = mapping(child, what="a partition")
        yield inner
        yield from _below(inner)


def _volume(row: Mapping[str, Any]) -> Volume:
    return Volume(
        name=word(row.get("name")),
        type=word(row.get("type")),
        size=maybe_number(row.get("size")) or 0,
        fstype=word(row.get("fstype")),
        label=word(row.get("label")),
        partlabel=word(row.get("partlabel")),
        partuuid=word(row.get("partuuid")),
        mountpoints=_mounts(row),
    )


def _disk(row: Mapping[str, Any]) -> Disk:
    # One device can be reached twice (a RAID over two partitions of this disk): keep the first.
    below = {word(child.get("name")): child for child in reversed(tuple(_below(row)))}
    volumes, omitted = capped((_volume(child) for child in reversed(below.values())), _MAX_VOLUMES)
    name = word(row.get("name"))
    path = word(row.get("path")) or f"/dev/{name}"
    if not _NAME.fullmatch(name) or not _PATH.fullmatch(path) or ".." in path:
        raise FactError(f"no disk is called {name!r} at {path!r}")
    return Disk(
        name=name,
        path=path,
        size=number(row.get("size"), what=f"size of {name}"),
        model=word(row.get("model")),
        serial=word(row.get("serial")),
        wwn=word(row.get("wwn")),
        rotational=flag(row.get("rota")),
        transport=word(row.get("tran")),
        read_only=flag(row.get("ro")),
        removable=flag(row.get("rm")),
        logical_sector=maybe_number(row.get("log-sec")) or 512,
        physical_sector=maybe_number(row.get("phy-sec")) or 512,
        table=word(row.get("pttype")),
        fstype=word(row.get("fstype")),
        label=word(row.get("label")),
        mountpoints=_mounts(row),
        mounted=any(_mounts(each) for each in (row, *below.values())),
        volumes=volumes,
        volumes_omitted=omitted,
    )


def _real(rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for each in rows:
        row = mapping(each, what="a block device")
        if row.get("type") == "disk" and not _NOT_A_DISK.fullmatch(word(row.get("name"))):
            yield row


def parse(text: str) -> Disks:
    document = mapping(load_json(text), what="lsblk output")
    rows = sequence(document.get("blockdevices"), what="blockdevices")
    items, omitted = capped(_real(rows))
    return Disks(items=tuple(_disk(row) for row in items), omitted=omitted)


_COLUMNS = (
    "NAME,PATH,TYPE,SIZE,MODEL,SERIAL,WWN,ROTA,TRAN,RO,RM,LOG-SEC,PHY-SEC,"
    "FSTYPE,LABEL,PARTLABEL,PARTUUID,PTTYPE"
)

FACT = FactSpec(
    name="disks",
    title="disks and what is on them",
    # Without udev's database lsblk reads the disks themselves, and a failing disk can hang it.
    command=(
        f"timeout 10 lsblk -J -b -o {_COLUMNS},MOUNTPOINTS 2>/dev/null"
        f" || timeout 10 lsblk -J -b -o {_COLUMNS},MOUNTPOINT"
    ),
    parse=parse,
    model=Disks,
    seconds=20,
)
