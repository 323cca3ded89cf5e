"""Which disk a machine is installed on, and why not on the others. Looks at facts only; touches no disk.

A disk named in the site file is the one, unless it can't be. Otherwise the best of those that qualify, by
the hardware profile's order (without one: NVMe, SSD, virtual disk, memory card, hard disk) and its preferred
or avoided models; among equals the largest; among those the first by stable path, so that the same machine
always gets the same answer. A disk that holds data qualifies only if it is named or the site file says
`wipe: true`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from facts.hardware import DiskPreference
from facts.machine_model import BY_ID, Hardware, HardwareDisk, human_size
from inventory.errors import RefusedError
from inventory.fleet import Disk

DEFAULT_PREFERENCE = DiskPreference()
_TITLES = {
    "nvme": "NVMe",
    "ssd": "SSD",
    "virtual": "virtual",
    "hdd": "hard",
    "mmc": "memory card",
    "usb": "USB",
}


@dataclass(frozen=True, slots=True)
class DiskChoice:
    """`contents` is what will be lost; `rejected` pairs every other disk with the reason."""

    disk: HardwareDisk
    reason: str
    contents: tuple[str, ...]
    rejected: tuple[tuple[HardwareDisk, str], ...] = ()

    @property
    def path(self) -> str:
        """How the machine configuration names it."""
        return self.disk.stable_path or self.disk.path


def choose(
    declared: Disk,
    hardware: Hardware,
    *,
    minimum: int,
    preference: DiskPreference = DEFAULT_PREFERENCE,
    where: str = "",
) -> DiskChoice:
    """The install disk. Raises RefusedError that lists every disk with the reason against it."""
    if declared.path or declared.serial or declared.wwid:
        return _named(declared, hardware, minimum, where)
    candidates: list[HardwareDisk] = []
    rejected: list[tuple[HardwareDisk, str]] = []
    for disk in hardware.disks:
        reason = next(chain(_obstacles(disk, minimum), _doubts(disk, declared)), "")
        if reason:
            rejected.append((disk, reason))
        else:
            candidates.append(disk)
    if not candidates:
        raise RefusedError(
            f"no disk to install on\n{_listing(rejected)}",
            where=where,
            fix="add a disk, or name the disk that may be overwritten: disk: {serial: …}",
        )
    best, *others = sorted(candidates, key=lambda disk: _rank(disk, preference))
    beaten = [(disk, _why_worse(best, disk, preference)) for disk in others]
    return DiskChoice(best, _why_best(best, others, preference), best.contents, (*beaten, *rejected))


def _named(declared: Disk, hardware: Hardware, minimum: int, where: str) -> DiskChoice:
    found = [disk for disk in hardware.disks if _is_named(disk, declared)]
    name = ", ".join(value for value in (declared.path, declared.serial, declared.wwid) if value)
    if len(found) != 1:
        listing = _listing([(disk, "") for disk in hardware.disks])
        what = "several disks are" if found else "no disk is"
        raise RefusedError(
            f"{what} {name}, the install disk of the site file\n{listing}",
            where=where,
            fix="correct disk: in the site file; a serial number is the surest name",
        )
    disk = found[0]
    reason = next(_obstacles(disk, minimum), "")
    if reason:
        raise RefusedError(
            f"the install disk of the site file, {_title(disk)}, can't be used: {reason}",
            where=where,
            fix="name another disk in the site file",
        )
    others = tuple(
        (other, "another disk is named in the site file") for other in hardware.disks if other is not disk
    )
    unstable = declared.path == disk.path != disk.stable_path and not (declared.serial or declared.wwid)
    warning = f" (a name that may move to another disk; {disk.stable_path} will not)" if unstable else ""
    health = "; its own health check FAILS" if disk.healthy is False else ""
    return DiskChoice(disk, f"named in the site file{warning}{health}", disk.contents, others)


def _is_named(disk: HardwareDisk, declared: Disk) -> bool:
    """Every name that is given must fit."""
    wwids = {disk.wwid, disk.wwid.replace("naa.", "0x", 1)}  # the kernel's form, and lsblk's
    return (
        (not declared.path or _is_path(disk, declared.path))
        and (not declared.serial or declared.serial == disk.serial)
        and (not declared.wwid or declared.wwid in wwids)
    )


def _is_path(disk: HardwareDisk, path: str) -> bool:
    """A disk has several links in by-id; those named for the bus (ata-, nvme-, …) end in the serial."""
    if path in {disk.path, disk.stable_path}:
        return True
    tail = f"_{disk.serial.replace(' ', '_')}"
    return bool(disk.serial) and path.startswith(BY_ID) and path.endswith((tail, f"{tail}_1"))


def _obstacles(disk: HardwareDisk, minimum: int) -> Iterator[str]:
    """Reasons that stand even against a disk that is named."""
    if disk.boot_medium:
        yield "the running environment was started from it"
    if disk.mounted:
        yield "it is in use (mounted or swap)"
    if disk.removable or disk.kind == "usb":
        yield "it is removable"
    if disk.read_only:
        yield "it is read-only"
    if disk.logical_sector != 512:
        yield f"it has {disk.logical_sector}-byte logical sectors; the image's partition table needs 512"
    if disk.size < minimum:
        yield f"it is too small ({human_size(disk.size)}; this role needs {human_size(minimum)})"


def _doubts(disk: HardwareDisk, declared: Disk) -> Iterator[str]:
    """Reasons that only a person may overrule."""
    if disk.healthy is False:
        yield "its own health check (SMART) fails"
    if disk.has_data and not declared.wipe:
        yield f"it holds data: {'; '.join(disk.contents) or 'unknown content'}"


def _liking(disk: HardwareDisk, preference: DiskPreference) -> int:
    """0 for a model the profile prefers, 1 as a rule, 2 for one it avoids."""
    if preference.prefer and re.search(preference.prefer, disk.model, re.IGNORECASE):
        return 0
    return 2 if preference.avoid and re.search(preference.avoid, disk.model, re.IGNORECASE) else 1


def _rank(disk: HardwareDisk, preference: DiskPreference) -> tuple[int, int, int, str]:
    order = preference.order.index(disk.kind) if disk.kind in preference.order else len(preference.order)
    return _liking(disk, preference), order, -disk.size, disk.stable_path or disk.path


def _why_best(best: HardwareDisk, others: Sequence[HardwareDisk], preference: DiskPreference) -> str:
    kind = _TITLES[best.kind]
    if not others:
        return f"the only disk that qualifies ({kind})"
    if _liking(best, preference) == 0:
        return f"{best.model} is what the hardware profile prefers"
    peers = [disk for disk in others if disk.kind == best.kind and _liking(disk, preference) == 1]
    if not peers:
        return f"the only {kind} disk that qualifies"
    if any(disk.size == best.size for disk in peers):
        return f"among the largest {kind} disks the first by stable path"
    return f"the largest {kind} disk"


def _why_worse(best: HardwareDisk, disk: HardwareDisk, preference: DiskPreference) -> str:
    if _liking(disk, preference) != _liking(best, preference):
        return "the hardware profile prefers another model"
    if disk.kind != best.kind:
        return f"{_TITLES[best.kind]} is preferred to {_TITLES[disk.kind]}"
    return "a larger one was found" if disk.size < best.size else "an equal one comes first by stable path"


def _title(disk: HardwareDisk) -> str:
    parts = (disk.path, disk.model, human_size(disk.size), disk.serial and f"serial {disk.serial}")
    return ", ".join(part for part in parts if part)


def _listing(rejected: Sequence[tuple[HardwareDisk, str]]) -> str:
    if not rejected:
        return "  (the machine shows no disk at all)"
    return "\n".join(f"  {_title(disk)}{f': {why}' if why else ''}" for disk, why in rejected)
