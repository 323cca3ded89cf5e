"""The UEFI boot variables of one machine, in a file: they survive everything, the lab's own end included."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BootEntry:
    """`disk` is a kernel name, or empty for what is no disk (network, medium)."""

    number: int
    label: str
    disk: str = ""
    part: int = 1
    loader: str = ""
    path: str = ""  # the device path as it was when the entry was made, for efibootmgr -v


@dataclass(slots=True)
class Nvram:
    file: Path
    entries: dict[int, BootEntry] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    next: int | None = None
    current: int = 0

    def add(self, entry: BootEntry, *, first: bool = True) -> None:
        """As efibootmgr -c: the new entry comes first in the order."""
        self.entries[entry.number] = entry
        self.order = [entry.number, *self.order] if first else [*self.order, entry.number]

    def free_number(self) -> int:
        return next(number for number in range(0x10000) if number not in self.entries)

    def delete(self, number: int) -> None:
        self.entries.pop(number, None)
        self.order = [other for other in self.order if other != number]

    def candidates(self) -> list[BootEntry]:
        """What the firmware tries, in order; uses up `next`."""
        first = [self.next] if self.next is not None else []
        if first:
            self.next = None
            self.save()
        return [
            self.entries[number] for number in dict.fromkeys([*first, *self.order]) if number in self.entries
        ]

    def save(self) -> None:
        entries = [asdict(entry) for entry in self.entries.values()]
        partial = self.file.with_suffix(".part")
        partial.write_text(json.dumps({"entries": entries, "order": self.order, "next": self.next}))
        partial.replace(self.file)


def load(file: Path) -> Nvram:
    """What the file holds; without one, a new machine, which boots from a medium or else the network."""
    nvram = Nvram(file)
    if file.exists():
        saved = json.loads(file.read_text())
        nvram.entries = {entry["number"]: BootEntry(**entry) for entry in saved["entries"]}
        nvram.order, nvram.next = saved["order"], saved["next"]
    else:
        nvram.add(BootEntry(0, "Bootstrap medium"))
        nvram.add(BootEntry(1, "PXE Network"), first=False)
    return nvram
