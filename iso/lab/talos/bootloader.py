"""The two boot slots of a lab Talos disk, and the META values that survive a reboot.

Slots stand for GRUB's labels A and B and for the two UKIs of systemd-boot alike: what counts is which
versions can be booted and which one is the default. Boots nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from iso.lab.api import LabDisk
from iso.lab.talos import storage
from iso.lab.talos.shared import Release

# META keys of Talos (pkg/machinery/meta): what an upgrade leaves behind.
UPGRADE_FALLBACK, STAGED_IMAGE, STAGED_OPTIONS = 6, 7, 8
_META_BYTES = 256 << 10
MARKER = b"lab-talos: "  # in the first 64 KiB of EFI or BOOT: "lab-talos: v1.13.9 talos.config=metal-iso\n"
_MARKER_WITHIN = 64 << 10


@dataclass(frozen=True, slots=True)
class Slots:
    entries: Mapping[str, Release]  # by label, "A" and "B"
    default: str = "A"

    @property
    def booted(self) -> Release:
        return self.entries[self.default]

    @property
    def other(self) -> str:
        return "B" if self.default == "A" else "A"

    def installed(self, release: Release) -> "Slots":
        """The other slot has it now, and is the default."""
        return Slots({**self.entries, self.other: release}, self.other)

    def flipped(self, label: str) -> "Slots":
        return replace(self, default=label)


def read(disk: LabDisk, unmarked: Release) -> Slots:
    """What the disk would boot. `unmarked`: for a disk that does not say. Raises NotBootable."""
    storage.check_bootable(disk)
    for name in ("EFI", "BOOT"):
        record = storage.read_record(disk, name)
        if record and "slots" in record:
            entries = {label: Release(**one) for label, one in record["slots"].items()}
            return Slots(entries, record["default"])
        marked = _marked(disk, name)
        if marked is not None:
            return Slots({"A": marked})
    # STATE remembers the version of a disk whose marked half is gone.
    state = storage.read_record(disk, "STATE")
    return Slots({"A": Release(str(state["version"])) if state and "version" in state else unmarked})


def write(disk: LabDisk, slots: Slots) -> None:
    table = storage.table_of(disk)
    name = "EFI" if table is not None and table.named("EFI") else "BOOT"
    entries = {
        label: {"tag": one.tag, "schematic": one.schematic, "needs_metal_iso": one.needs_metal_iso}
        for label, one in slots.entries.items()
    }
    storage.write_record(disk, name, {"slots": entries, "default": slots.default})


def _marked(disk: LabDisk, name: str) -> Release | None:
    """What the image says of itself."""
    table = storage.table_of(disk)
    part = table.named(name) if table else None
    if table is None or part is None:
        return None
    head = disk.read(table.offset(part), min(table.size(part), _MARKER_WITHIN))
    _, found, rest = head.partition(MARKER)
    if not found:
        return None
    words = rest.split(b"\n", 1)[0].decode("ascii", errors="replace").split()
    return Release(words[0], needs_metal_iso="talos.config=metal-iso" in words[1:])


class Meta:
    """The META partition: small values by number."""

    def __init__(self, disk: LabDisk) -> None:
        self._disk = disk

    def get(self, key: int) -> bytes | None:
        return self._values().get(key)

    def put(self, key: int, value: bytes) -> bool:
        """False: there is no room."""
        values = {**self._values(), key: value}
        if sum(map(len, values.values())) > _META_BYTES:
            return False
        self._store(values)
        return True

    def drop(self, key: int) -> bool:
        values = self._values()
        found = values.pop(key, None) is not None
        if found:
            self._store(values)
        return found

    def _values(self) -> dict[int, bytes]:
        record = storage.read_record(self._disk, "META") or {}
        return {int(key): bytes.fromhex(value) for key, value in record.get("values", {}).items()}

    def _store(self, values: Mapping[int, bytes]) -> None:
        record = {"values": {str(key): value.hex() for key, value in values.items()}}
        storage.write_record(self._disk, "META", record)
