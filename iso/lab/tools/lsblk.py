"""lsblk from the real contents of the lab's disks: as JSON, pairs, raw or a tree."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from iso.lab import blocks
from iso.lab.blocks import Volume
from iso.lab.shell.call import Call, Tool, options
from iso.lab.tools.volumes import human, volume

_LSBLK_DEFAULT = "NAME,MAJ:MIN,RM,SIZE,RO,TYPE,MOUNTPOINTS"
_FLAGS = ("rota", "ro", "rm", "hotplug", "rand")
_MAJORS = {"nvme": 259, "sd": 8, "vd": 254, "mmcblk": 179, "loop": 7}


def _row(one: Volume, *, disk: bool) -> dict[str, Any]:
    found = blocks.signature(one)
    spec = one.disk
    major = next((number for prefix, number in _MAJORS.items() if one.name.startswith(prefix)), 8)
    return {
        "name": one.name,
        "kname": one.name,
        "path": f"/dev/{one.name}",
        "type": "disk" if disk else "part",
        "size": one.size,
        "maj:min": f"{major}:{one.number}",
        "pkname": None if disk else spec.name,
        "model": (spec.model or None) if disk else None,
        "serial": (spec.serial or None) if disk else None,
        "vendor": None,
        "wwn": spec.wwid.replace("naa.", "0x", 1) or None,
        "rota": spec.rotational,
        "tran": (spec.transport or None) if disk else None,
        "ro": False,
        "rm": spec.transport == "usb",
        "hotplug": spec.transport == "usb",
        "log-sec": spec.sector_size,
        "phy-sec": max(spec.sector_size, 4096 if spec.rotational else spec.sector_size),
        "fstype": found.type if found else None,
        "label": (found.label or None) if found else None,
        "uuid": (found.uuid or None) if found else None,
        "partlabel": one.part_label or None,
        "partuuid": one.part_uuid or None,
        "parttype": one.part_type or None,
        "partn": one.number or None,
        "pttype": blocks.table_type(spec) or None,
        "ptuuid": str(t.disk_guid) if (t := blocks.table_of(spec)) else None,
        "mountpoint": None,
        "mountpoints": [None],
        "fsver": None,
        "start": one.start // 512 if one.number else None,
        "state": "live" if disk and spec.transport == "nvme" else None,
        "hctl": None,
        "rev": None,
        "disc-gran": 0 if spec.rotational else 512,
        "disc-max": 0 if spec.rotational else 2199023255040,
    }


async def lsblk(call: Call) -> int:
    found, names = options(_lsblk_args(call.args), "JbdnprPaflSOt", "oeI")
    columns = [column.lower() for column in found.get("o", _LSBLK_DEFAULT).split(",")]
    excluded = {int(number) for number in found["e"].split(",")} if found.get("e") else {1}
    rows = [
        row
        for row in _lsblk_rows(call, names, deep="d" not in found)
        if int(row["maj:min"].split(":")[0]) not in excluded
    ]
    children = [child for row in rows for child in row.get("children", [])]
    for row in [*rows, *children]:
        unknown = [column for column in columns if column not in row]
        if unknown:
            return await call.fail(f"unknown column: {unknown[0].upper()}")
        if "p" in found:
            row["name"] = row["path"]
        if "b" not in found:
            row["size"] = human(row["size"])
    if "J" in found:
        return await call.print(
            json.dumps({"blockdevices": [_columns(row, columns) for row in rows]}, indent=3)
        )
    return await _lsblk_text(call, found, columns, rows)


def _lsblk_args(args: Sequence[str]) -> list[str]:
    long = {
        "--json": "-J",
        "--bytes": "-b",
        "--nodeps": "-d",
        "--noheadings": "-n",
        "--paths": "-p",
        "--raw": "-r",
        "--pairs": "-P",
        "--output": "-o",
        "--exclude": "-e",
        "--list": "-l",
    }
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
        row = _row(one, disk=one.number == 0)
        parts = call.host.partitions(one.disk.name) if deep and one.number == 0 else ()
        if parts:
            row["children"] = [_row(part, disk=False) for part in parts]
        rows.append(row)
    return rows


def _columns(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    chosen = {column: row[column] for column in columns}
    if "children" in row:
        chosen["children"] = [_columns(child, columns) for child in row["children"]]
    return chosen


async def _lsblk_text(
    call: Call, found: Mapping[str, str], columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> int:
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
        *(
            " ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in table
        )
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return " ".join(str(item) for item in value if item)
    return "" if value is None else str(value)


TOOLS: Mapping[str, Tool] = {"lsblk": lsblk}
