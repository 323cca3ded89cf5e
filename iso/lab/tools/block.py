"""Disks and partitions: blkid, wipefs, blockdev, partprobe, udevadm, sgdisk (-p -v -e -Z), sync."""

import re
from collections.abc import Iterator, Mapping

from iso.lab import blocks
from iso.lab.blocks import Volume
from iso.lab.shell.call import Call, Tool, UsageError, options
from iso.lab.tools.volumes import human, volume
from roles import gpt


async def blkid(call: Call) -> int:
    found, names = options(call.args, "pcgil", "osLtu")
    candidates = [volume(call, name) for name in names] or [
        one
        for disk in call.host.disks.values()
        for one in (blocks.whole(disk), *call.host.partitions(disk.name))
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
            await call.print(
                f"DEVNAME=/dev/{one.name}", *(f"{name}={value}" for name, value in shown.items())
            )
        else:
            await call.print(
                f"/dev/{one.name}: " + " ".join(f'{name}="{value}"' for name, value in shown.items())
            )
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
    args = [
        "-a" if arg == "--all" else "-f" if arg == "--force" else "-q" if arg == "--quiet" else arg
        for arg in call.args
    ]
    found, names = options(args, "afqnJp", "ot")
    if not names:
        raise UsageError("no device specified")
    for name in names:
        one = volume(call, name)
        places = [(sign.offset, sign.magic, sign.type) for sign in blocks.signatures(one)]
        if not one.number:
            places += _table_places(one)
        for offset, magic, kind in places:
            text = (
                f"{name}: {len(magic)} bytes were erased at offset {offset:#010x} ({kind}): {magic.hex(' ')}"
            )
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
    headers = [
        (offset, b"EFI PART", "gpt") for offset in (sector, last) if one.read(offset, 8) == b"EFI PART"
    ]
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
    for mount in call.host.mounts.values():
        mount.write_back()
    for disk in call.host.disks.values():
        disk.flush()
    return 0


async def sgdisk(call: Call) -> int:
    found, names = options(
        [{"--zap-all": "-Z", "--print": "-p", "--verify": "-v"}.get(arg, arg) for arg in call.args],
        "pveZ",
        "i",
    )
    if len(names) != 1:
        raise UsageError("Usage: sgdisk [OPTION...] <device>")
    one = volume(call, names[0])
    if "Z" in found:
        return await _zap(call, one)
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
        await call.print(*_verified(one))
    if "p" in found:
        await call.print(f"Disk {names[0]}: {sectors} sectors", *_listed(table))
    return 0


async def _zap(call: Call, one: Volume) -> int:
    one.write(0, bytes(34 * 512))
    one.write(one.size - 33 * 512, bytes(33 * 512))
    one.close_after_write()
    return await call.print(
        "GPT data structures destroyed! You may now partition the disk using fdisk or", "other utilities."
    )


def _verified(one: Volume) -> tuple[str, str]:
    if one.read(one.size - one.disk.sector_size, 8) == b"EFI PART":
        return "", "No problems found."
    return "Problem: The secondary header is not at the end of the disk.", "Identified 1 problems!"


def _listed(table: gpt.Table) -> Iterator[str]:
    yield "Number  Start (sector)    End (sector)  Size       Code  Name"
    for part in table.partitions:
        size = human(table.size(part))
        yield f"{part.index:4d} {part.first_lba:15d} {part.last_lba:15d}   {size}   8300  {part.name}"


async def nothing(call: Call) -> int:
    """mdadm, dmsetup, vgchange…: there are no stacked devices in the lab."""
    return 0 if not re.match("--create", " ".join(call.args)) else 1


TOOLS: Mapping[str, Tool] = {
    "blkid": blkid,
    "wipefs": wipefs,
    "blockdev": blockdev,
    "partprobe": partprobe,
    "udevadm": udevadm,
    "sync": sync,
    "sgdisk": sgdisk,
    "dmsetup": nothing,
    "mdadm": nothing,
    "vgchange": nothing,
}
