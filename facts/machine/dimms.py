"""The memory modules, from the firmware's SMBIOS table (type 17), with their error correction."""

import re
from dataclasses import dataclass

from facts.limits import capped, word
from facts.spec import KIB, FactError, FactSpec

_UNITS = {"kB": KIB, "KB": KIB, "MB": KIB**2, "GB": KIB**3, "TB": KIB**4}
_SIZE = re.compile(r"([0-9]{1,9}) (kB|KB|MB|GB|TB)")
_BITS = re.compile(r"([0-9]{1,4}) bits")
_SPEED = re.compile(r"([0-9]{1,6}) M(?:T/s|Hz)")


@dataclass(frozen=True, slots=True)
class Dimm:
    slot: str
    size: int  # bytes
    type: str = ""  # "DDR5"
    speed: int = 0  # MT/s
    ecc: bool = False  # more bits are stored than delivered
    manufacturer: str = ""
    part: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Dimms:
    """Filled slots only. `slots` counts all; 0 if the firmware has no table (most Arm boards)."""

    items: tuple[Dimm, ...]
    slots: int = 0
    omitted: int = 0


def _dimm(block: str) -> Dimm | None:
    """One "Memory Device"; None for an empty slot."""
    row: dict[str, str] = {}
    for line in block.splitlines():
        key, colon, value = line.strip().partition(": ")
        if colon:
            row.setdefault(key, word(value))
    size = _SIZE.fullmatch(row.get("Size", ""))
    if size is None:
        return None
    total, data = (_BITS.fullmatch(row.get(key, "")) for key in ("Total Width", "Data Width"))
    speed = _SPEED.fullmatch(row.get("Configured Memory Speed") or row.get("Speed", ""))
    return Dimm(
        slot=row.get("Locator", ""),
        size=int(size[1]) * _UNITS[size[2]],
        type=row.get("Type", ""),
        speed=int(speed[1]) if speed else 0,
        ecc=bool(total and data and int(total[1]) > int(data[1]) > 0),
        manufacturer=row.get("Manufacturer", ""),
        part=row.get("Part Number", ""),
        serial=row.get("Serial Number", ""),
    )


def parse(text: str) -> Dimms:
    if "No SMBIOS nor DMI entry point found" in text:
        return Dimms(items=())
    blocks = re.split(r"^Memory Device$", text, flags=re.MULTILINE)
    if len(blocks) == 1 and "SMBIOS" not in text:
        raise FactError("dmidecode printed no SMBIOS table")
    items, omitted = capped(dimm for block in blocks[1:] if (dimm := _dimm(block)))
    return Dimms(items=items, slots=len(blocks) - 1, omitted=omitted)


FACT = FactSpec(
    name="dimms",
    title="memory modules",
    command="dmidecode -t 17",
    parse=parse,
    model=Dimms,
    strict=False,  # exits 1 on boards without SMBIOS, having said so
)
