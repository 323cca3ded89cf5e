"""Graphics processors and accelerators on the PCI bus (classes 03 and 12)."""

import re
from dataclasses import dataclass

from facts.limits import capped, word
from facts.spec import KIB, FactSpec

# `lspci -mm` quotes every field and writes a quote inside one as \".
_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NAMED = re.compile(r"(.*) \[([0-9a-f]{4})\]")
_CLASSES = ("03", "12")


@dataclass(frozen=True, slots=True)
class Gpu:
    slot: str  # "0000:17:00.0"
    vendor: str
    device: str
    vendor_id: str  # "10de"
    device_id: str


@dataclass(frozen=True, slots=True)
class Gpus:
    items: tuple[Gpu, ...]
    omitted: int = 0


def _split(field: str) -> tuple[str, str]:
    """A name and its number: `NVIDIA Corporation [10de]`."""
    match = _NAMED.fullmatch(field)
    return (word(match[1]), match[2]) if match else (word(field), "")


def _gpu(line: str) -> Gpu | None:
    fields = _FIELD.findall(line)
    if len(fields) < 3 or not _split(fields[0])[1].startswith(_CLASSES):
        return None
    vendor, vendor_id = _split(fields[1])
    device, device_id = _split(fields[2])
    return Gpu(word(line.partition(" ")[0]), vendor, device, vendor_id, device_id)


def parse(text: str) -> Gpus:
    items, omitted = capped(gpu for line in text.splitlines() if (gpu := _gpu(line)))
    return Gpus(items=items, omitted=omitted)


FACT = FactSpec(
    name="gpus",
    title="graphics processors and accelerators",
    command="lspci -Dmmnn",
    parse=parse,
    model=Gpus,
    strict=False,  # a list that was cut off still counts
    cap=96 * KIB,
)
