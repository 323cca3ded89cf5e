"""Who built the machine: SMBIOS identity and firmware, or the device tree's model on Arm boards."""

from dataclasses import dataclass

from facts.spec import FactSpec
from facts.sysfs import first, lines

_DMI = "/sys/class/dmi/id/"
_TREE = "/proc/device-tree/"
_FILES = (
    "sys_vendor",
    "product_name",
    "product_serial",
    "product_uuid",
    "board_name",
    "bios_version",
    "bios_date",
    "chassis_type",
)
# What makers leave in fields that they never filled.
_PLACEHOLDERS = frozenset(
    {
        "to be filled by o.e.m.",
        "default string",
        "system serial number",
        "system product name",
        "system manufacturer",
        "not specified",
        "not applicable",
        "none",
        "n/a",
        "0",
        "0123456789",
        "123456789",
        "empty",
        "unknown",
    }
)
_NO_UUIDS = frozenset({"00000000-0000-0000-0000-000000000000", "03000200-0400-0500-0006-000700080009"})


@dataclass(frozen=True, slots=True)
class Platform:
    """Unfilled fields ("To Be Filled By O.E.M.") are ""."""

    vendor: str = ""
    product: str = ""
    serial: str = ""
    uuid: str = ""  # lower case
    board: str = ""
    bios_version: str = ""
    bios_date: str = ""
    chassis: str = ""  # SMBIOS chassis type, a number
    device_tree: str = ""  # "Raspberry Pi 5 Model B Rev 1.0"


def is_filled(value: str) -> bool:
    """Whether a serial number or UUID was really given to this machine."""
    low = value.strip().lower()
    return bool(low) and low not in _PLACEHOLDERS and low not in _NO_UUIDS


def parse(text: str) -> Platform:
    found = lines(text)

    def value(path: str) -> str:
        text = first(found, path)
        return "" if text.lower() in _PLACEHOLDERS else text

    vendor, product, serial, uuid, board, version, date, chassis = (value(_DMI + name) for name in _FILES)
    uuid = uuid.lower()
    return Platform(
        vendor=vendor,
        product=product,
        serial=serial or value(_TREE + "serial-number"),
        uuid="" if uuid in _NO_UUIDS else uuid,
        board=board,
        bios_version=version,
        bios_date=date,
        chassis=chassis,
        device_tree=value(_TREE + "model"),
    )


def _tree(name: str) -> str:
    """Device-tree strings end in NUL, which grep would call binary."""
    path = _TREE + name
    return f"if [ -e {path} ]; then printf '%s:' {path}; tr -d '\\000' <{path}; echo; fi"


FACT = FactSpec(
    name="platform",
    title="maker, model and firmware",
    command=(
        "grep -H . " + " ".join(_DMI + name for name in _FILES) + f" 2>/dev/null; {_tree('model')}; "
        f"{_tree('serial-number')}"
    ),
    parse=parse,
    model=Platform,
)
