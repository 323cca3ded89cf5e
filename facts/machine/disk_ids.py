"""The stable names of disks: the links in /dev/disk/by-id. Partitions' links are left out."""

import re
from dataclasses import dataclass

from facts.limits import capped, word
from facts.spec import FactSpec

_MAX_IDS = 16
_NOT_A_DISK = re.compile(r"-part\d+$|^(?:dm-|md-|lvm-|zvol-)")


@dataclass(frozen=True, slots=True)
class DiskIds:
    """One device with its links (names only, sorted)."""

    name: str  # "nvme0n1"
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllDiskIds:
    items: tuple[DiskIds, ...]
    omitted: int = 0


def parse(text: str) -> AllDiskIds:
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        link, space, target = line.partition(" ")
        if space and link and not _NOT_A_DISK.search(link):
            found.setdefault(word(target.rpartition("/")[2]), set()).add(word(link))
    items, omitted = capped(DiskIds(name, tuple(sorted(found[name])[:_MAX_IDS])) for name in sorted(found))
    return AllDiskIds(items=items, omitted=omitted)


FACT = FactSpec(
    name="disk_ids",
    title="stable names of disks",
    # No such folder on machines whose disks have no serial number.
    command="if [ -d /dev/disk/by-id ]; then find /dev/disk/by-id -type l -printf '%f %l\\n'; fi",
    parse=parse,
    model=AllDiskIds,
)
