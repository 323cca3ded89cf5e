"""What the firmware boots: UEFI entries and their order, as efibootmgr shows them. Changes nothing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyinfra.api.facts import FactBase

_ENTRY = re.compile(r"^Boot([0-9A-Fa-f]{4})[* ] ?([^\t]*)(?:\t(.*))?$")
_NO_UEFI = "cto-no-uefi"
_NO_TOOL = "cto-no-efibootmgr"


@dataclass(frozen=True, slots=True)
class Entry:
    number: str  # four hex digits
    label: str
    path: str  # device path; empty if efibootmgr does not show it


@dataclass(frozen=True, slots=True)
class Firmware:
    uefi: bool
    problem: str = ""  # why the entries can't be read
    order: tuple[str, ...] = ()
    next: str = ""  # set for one boot only
    entries: tuple[Entry, ...] = ()

    def named(self, label: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.label == label)


class FirmwareFact(FactBase[Firmware]):
    """`Firmware` of the machine."""

    def command(self) -> str:
        listing = f"if command -v efibootmgr >/dev/null; then efibootmgr -v 2>&1; else echo {_NO_TOOL}; fi"
        return f"if [ -d /sys/firmware/efi ]; then {listing}; else echo {_NO_UEFI}; fi"

    def process(self, output: Any) -> Firmware:
        return parse(output)


def parse(lines: Iterable[str]) -> Firmware:
    """Total: lines that mean nothing to us are passed over."""
    order: tuple[str, ...] = ()
    following, entries, other = "", [], []
    for line in lines:
        if line.strip() == _NO_UEFI:
            return Firmware(uefi=False)
        if line.strip() == _NO_TOOL:
            return Firmware(uefi=True, problem="efibootmgr is not installed")
        if line.startswith("BootOrder:"):
            order = tuple(
                number.strip().upper() for number in line.split(":", 1)[1].split(",") if number.strip()
            )
        elif line.startswith("BootNext:"):
            following = line.split(":", 1)[1].strip().upper()
        elif match := _ENTRY.match(line.rstrip("\r\n")):
            entries.append(Entry(match[1].upper(), match[2].strip(), (match[3] or "").strip()))
        elif not line.startswith(("BootCurrent:", "Timeout:")):
            other.append(line.strip())
    problem = "" if order or entries else (" ".join(other)[:200] or "efibootmgr shows no entries")
    return Firmware(True, problem, order, following, tuple(entries))
