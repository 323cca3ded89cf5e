"""Disks and partitions: lsblk, blkid, wipefs, blockdev, partprobe, udevadm, sgdisk (-p -v -e -Z), sync."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from iso.lab import blocks
from iso.lab.blocks import Volume
from iso.lab.shell.call import Call, Tool, UsageError, options
from roles import gpt

_LSBLK_DEFAULT = "NAME,MAJ:MIN,RM,SIZE,RO,TYPE,MOUNTPOINTS"
_FLAGS = ("rota", "ro", "rm", "hotplug", "rand")
_MAJORS = {"nvme": 259, "sd": 8, "vd": 254, "mmcblk": 179, "loop": 7}


def volume(call: Call, name: str) -> Volume:
    """The block device at a path; a link such as by-id counts."""
    found = blocks.as_volume(call.files.get(call.path(name)))
    if found is None:
        raise OSError(15, "Block device required", name)
    return found


def _human(size: int) -> str:
    for unit in "BKMGT":
        if size < 1024 or unit == "T":
            break
        size_f = size / 1024
        size = int(size_f)
    return f"{size}{unit}"


def _row(call: Call, one: Volume, *, disk: bool) -> dict[str, Any]:
    found = blocks.signature(one)
    spec = one.disk
    major = next((number for prefix, number in _MAJORS.items() if one.name.startswith(prefix)), 8)
    return {
        "name": one.name, "kname": one.name, "path": f"/dev/{one.name}", "type": "disk" if disk else "part",
        "size": one.size, "maj:min": f"{major}:{one.number}", "pkname": None if disk else spec.name,
        "model": (spec.model or None) if disk else None, "serial": (spec.serial or None) if disk else None,
        "vendor": None, "wwn": spec.wwid or None, "rota": spec.rotational, "tran": (spec.transport or None) if disk else None,
        "ro": False, "rm": spec.transport == "usb", "hotplug": spec.transport == "usb",
        "log-sec": spec.sector_size, "phy-sec": max(spec.sector_size, 4096 if spec.rotational else spec.sector_size),
        "fstype": found.type if found else None, "label": (found.label or None) if found else None,
        "uuid": (found.uuid or None) if found else None, "partlabel": one.part_label or None,
        "partuuid": one.part_uuid or None, "parttype": one.part_type or None, "partn": one.number or None,
        "pttype": blocks.table_type(spec) or None, "ptuuid": str(t.disk_guid) if (t := blocks.table_of(spec)) else None,
        "mountpoint": None, "mountpoints": [None], "fsver": None, "start": one.start // 512 if one.number else None,
        "state": "live" if disk and spec.transport == "nvme" else None, "hctl": None, "rev": None,
        "disc-gran": 0 if spec.rotational else 512, "disc-max": 0 if spec.rotational else 2199023255040,
    }  # fmt: skip


async def lsblk(call: Call) -> int:
    found, names = options(_lsblk_args(call.args), "JbdnprPaflSOt", "oeI")
    columns = [column.lower() for column in found.get("o", _LSBLK_DEFAULT).split(",")]
    excluded = {int(number) for number in found["e"].split(",")} if found.get("e") else {1}
    rows = [row for row in _lsblk_rows(call, names, deep="d" not in found) if int(row["maj:min"].split(":")[0]) not in excluded]
    for row in [*rows, *(child for row in rows for child in row.get("children", []))]:
        unknown = [column for column in columns if column not in row]
        if unknown:
            return await call.fail(f"unknown column: {unknown[0].upper()}")
        if "p" in found:
            row["name"] = row["path"]
        if "b" not in found:
            row["size"] = _human(row["size"])
    if "J" in found:
        return await call.print(json.dumps({"blockdevices": [_columns(row, columns) for row in rows]}, indent=3))
    return await _lsblk_text(call, found, columns, rows)


def _lsblk_args(args: Sequence[str]) -> list[str]:
    long = {"--json": "-J", "--bytes": "-b", "--nodeps": "-d", "--noheadings": "-n", "--paths": "-p", "--raw": "-r",
            "--pairs": "-P", "--output": "-o", "--exclude": "-e", "--list": "-l"}  # fmt: skip
    found: list[str] = []
    for arg in args:
        name, equals, value = arg.partition("=")
        found += [long[name], *([value] if equals else [])] if name in long else [arg]
    return found


def _lsblk_rows(call: Call, names: Sequence[str], *, deep: bool) -> list[dict[str, Any]]:
    if names:
        chosen = [volume(call, name) for name in names]
    else:
        chosen = [blocks.whole(disk) for disk in call.host.disks.values()]
    rows = []
    for one in chosen:
        row = _row(call, one, disk=one.number == 0)
        parts = call.host.partitions(one.disk.name) if deep and one.number == 0 else ()
        if parts:
            row["children"] = [_row(call, part, disk=False) for part in parts]
        rows.append(row)
    return rows


def _columns(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    chosen = {column: row[column] for column in columns}
    if "children" in row:
        chosen["children"] = [_columns(child, columns) for child in row["children"]]
    return chosen


async def _lsblk_text(call: Call, found: Mapping[str, str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
    table = [] if {"n", "P"} & set(found) else [[column.upper() for column in columns]]
    for row in rows:
        for depth, one in [(0, row), *((1, child) for child in row.get("children", []))]:
            cells = [_cell(one[column]) for column in columns]
            if "P" in found:
                pairs = zip(columns, cells, strict=True)
                cells = [" ".join(f'{column.upper()}="{cell}"' for column, cell in pairs)]
            elif depth and not {"r", "l"} & set(found):
                cells[0] = "`-" + cells[0]
            table.append(cells)
    if "r" in found or "P" in found:
        return await call.print(*(" ".join(cells) for cells in table))
    widths = [max((len(cells[at]) for cells in table), default=0) for at in range(len(columns))]
    return await call.print(
        *(" ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in table)
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return " ".join(str(item) for item in value if item)
    return "" if value is None else str(value)


async def blkid(call: Call) -> int:
    found, names = options(call.args, "pcgil", "osLtu")
    candidates = [volume(call, name) for name in names] or [
        one for disk in call.host.disks.values() for one in (blocks.whole(disk), *call.host.partitions(disk.name))
    ]
    wanted = found["t"].partition("=") if "t" in found else None
    if "L" in found:
        wanted = ("LABEL", "=", found["L"])
    status = 2
    for one in candidates:
        values = _tags(one)
        if not values or (wanted and values.get(wanted[0]) != wanted[2]):
            continue
        status = 0
        shown = {name: value for name, value in values.items() if found.get("s", name) == name}
        if "L" in found or found.get("o") == "device":
            await call.print(f"/dev/{one.name}")
        elif found.get("o") == "value":
            await call.print(*shown.values())
        elif found.get("o") == "export":
            await call.print(f"DEVNAME=/dev/{one.name}", *(f"{name}={value}" for name, value in shown.items()))
        else:
            await call.print(f"/dev/{one.name}: " + " ".join(f'{name}="{value}"' for name, value in shown.items()))
    return status


def _tags(one: Volume) -> dict[str, str]:
    found = blocks.signature(one)
    values = {"LABEL": found.label, "UUID": found.uuid, "TYPE": found.type} if found else {}
    if one.number:
        values |= {"PARTLABEL": one.part_label, "PARTUUID": one.part_uuid}
    elif kind := blocks.table_type(one.disk):
        values["PTTYPE"] = kind
    return {name: value for name, value in values.items() if value}


async def wipefs(call: Call) -> int:
    """Lists the signatures of a device, or with -a overwrites each with zeros, as the real one does."""
    args = ["-a" if arg == "--all" else "-f" if arg == "--force" else "-q" if arg == "--quiet" else arg for arg in call.args]
    found, names = options(args, "afqnJp", "ot")
    if not names:
        raise UsageError("no device specified")
    for name in names:
        one = volume(call, name)
        places = [(sign.offset, sign.magic, sign.type) for sign in blocks.signatures(one)]
        if not one.number:
            places += _table_places(one)
        for offset, magic, kind in places:
            text = f"{name}: {len(magic)} bytes were erased at offset {offset:#010x} ({kind}): {magic.hex(' ')}"
            if "a" in found and "n" not in found:
                one.write(offset, bytes(len(magic)))
                await call.print(*([] if "q" in found else [text]))
            else:
                await call.print(f"{name} {offset:#x} {kind}")
        if "a" in found:
            one.close_after_write()
    return 0


def _table_places(one: Volume) -> list[tuple[int, bytes, str]]:
    """Where a partition table says that it is one: both headers and the protective sector."""
    sector = one.disk.sector_size
    last = one.size // sector * sector - sector
    headers = [(offset, b"EFI PART", "gpt") for offset in (sector, last) if one.read(offset, 8) == b"EFI PART"]
    boot = [(510, b"\x55\xaa", "PMBR")] if one.read(510, 2) == b"\x55\xaa" else []
    return headers + boot


async def blockdev(call: Call) -> int:
    questions = [arg for arg in call.args if arg.startswith("--")]
    for name in [arg for arg in call.args if not arg.startswith("--")]:
        one = volume(call, name)
        for question in questions:
            answers = {"--getsize64": one.size, "--getsz": one.size // 512, "--getss": one.disk.sector_size,
                       "--getpbsz": 4096, "--getro": 0, "--getbsz": 4096}  # fmt: skip
            if question in answers:
                await call.print(str(answers[question]))
            elif question == "--flushbufs":
                one.disk.flush()
            elif question == "--rereadpt":
                call.host.rescan()
            else:
                raise UsageError(f"Unknown command: {question}")
    return 0


async def partprobe(call: Call) -> int:
    for name in [arg for arg in call.args if not arg.startswith("-")]:
        volume(call, name)
    call.host.rescan()
    return 0


async def udevadm(call: Call) -> int:
    if call.args[:1] not in (["settle"], ["trigger"]):
        raise UsageError("the lab's udevadm knows settle and trigger")
    call.host.rescan()
    return 0


async def sync(call: Call) -> int:
    for disk in call.host.disks.values():
        disk.flush()
    return 0


async def sgdisk(call: Call) -> int:
    found, names = options([{"--zap-all": "-Z", "--print": "-p", "--verify": "-v"}.get(arg, arg) for arg in call.args], "pveZ", "i")
    if len(names) != 1:
        raise UsageError("Usage: sgdisk [OPTION...] <device>")
    one = volume(call, names[0])
    if "Z" in found:
        one.write(0, bytes(34 * 512))
        one.write(one.size - 33 * 512, bytes(33 * 512))
        one.close_after_write()
        return await call.print("GPT data structures destroyed! You may now partition the disk using fdisk or", "other utilities.")
    sectors = one.size // one.disk.sector_size
    try:
        table = gpt.parse(one.read, sectors, one.disk.sector_size)
    except gpt.PartitionTableError as error:
        return await call.fail(f"problem reading the partition table: {error.what}", 2)
    if "e" in found:
        table = gpt.resize(table, sectors)
        one.write(gpt.backup_offset(table), gpt.backup(table))
        one.write(0, gpt.primary(table, one.read(0, 512)))
        one.close_after_write()
        await call.print("The operation has completed successfully.")
    if "v" in found:
        backup = one.read(one.size - one.disk.sector_size, 8) == b"EFI PART"
        await call.print(*([] if backup else ["Problem: The secondary header is not at the end of the disk.", "Identified 1 problems!"]))
        if backup:
            await call.print("", "No problems found.")
    if "p" in found:
        await call.print(f"Disk {names[0]}: {sectors} sectors", "Number  Start (sector)    End (sector)  Size       Code  Name",
                         *(f"{part.index:4d} {part.first_lba:15d} {part.last_lba:15d}   {_human(table.size(part))}   8300  {part.name}"
                           for part in table.partitions))  # fmt: skip
    return 0


async def nothing(call: Call) -> int:
    """mdadm, dmsetup, vgchange…: there are no stacked devices in the lab."""
    return 0 if not re.match("--create", " ".join(call.args)) else 1


TOOLS: Mapping[str, Tool] = {
    "lsblk": lsblk, "blkid": blkid, "wipefs": wipefs, "blockdev": blockdev, "partprobe": partprobe, "udevadm": udevadm,
    "sync": sync, "sgdisk": sgdisk, "dmsetup": nothing, "mdadm": nothing, "vgchange": nothing,
}  # fmt: skip
