"""How the firmware boots: UEFI or not, Secure Boot, the boot entries and their order."""

import re
from dataclasses import dataclass
from typing import Literal

from facts.limits import capped, word
from facts.spec import FactError, FactSpec

Firmware = Literal["uefi", "bios", "devicetree"]

# The variable of the UEFI specification (section 3.3): four bytes of attributes, then the value.
_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ENTRY = re.compile(r"Boot([0-9A-Fa-f]{4})(\*?) +(.*)")


@dataclass(frozen=True, slots=True)
class BootEntry:
    number: str  # "0001"
    active: bool
    title: str


@dataclass(frozen=True, slots=True)
class Boot:
    firmware: Firmware
    secure_boot: bool | None = None  # None: not known, or no such thing
    current: str = ""
    order: tuple[str, ...] = ()
    entries: tuple[BootEntry, ...] = ()
    omitted: int = 0


def _secure_boot(value: str) -> bool | None:
    numbers = value.split()
    return numbers[4] == "1" if len(numbers) == 5 else None


def parse(text: str) -> Boot:
    row: dict[str, str] = {}
    entries = []
    for line in text.splitlines():
        if match := _ENTRY.match(line):
            entries.append(BootEntry(match[1].upper(), bool(match[2]), word(match[3].partition("\t")[0])))
            continue
        key, colon, value = line.partition(":")
        if colon:
            row.setdefault(key.strip(), word(value))
    firmware = row.get("firmware")
    if firmware not in {"uefi", "bios", "devicetree"}:
        raise FactError("no answer about the firmware")
    kept, omitted = capped(entries)
    return Boot(
        firmware=firmware,  # type: ignore[arg-type] # checked just above
        secure_boot=_secure_boot(row.get("secure-boot", "")),
        current=row.get("BootCurrent", ""),
        order=capped(filter(None, row.get("BootOrder", "").split(",")))[0],
        entries=kept,
        omitted=omitted,
    )


FACT = FactSpec(
    name="boot",
    title="firmware and boot order",
    command=(
        "if [ -d /sys/firmware/efi ]; then echo 'firmware: uefi';"
        f" if [ -e {_SECURE_BOOT} ]; then printf 'secure-boot:'; od -An -tu1 {_SECURE_BOOT}; fi;"
        " efibootmgr;"
        " elif [ -d /proc/device-tree ]; then echo 'firmware: devicetree';"
        " else echo 'firmware: bios'; fi"
    ),
    parse=parse,
    model=Boot,
    strict=False,  # without efibootmgr the rest still holds
)
