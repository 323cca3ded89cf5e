"""What the disks say of their own health (SMART, NVMe health log). No judgement: that is monitoring's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facts.limits import capped, load_json_stream, mapping, maybe_number, word
from facts.spec import KIB, VOLATILE, FactSpec

_REALLOCATED = 5  # ATA attribute: sectors replaced by spares


@dataclass(frozen=True, slots=True)
class Health:
    """`passed` is None where the disk (or its controller) does not answer. Counters are None if unknown."""

    path: str
    passed: bool | None
    protocol: str = ""  # "NVMe", "ATA", "SCSI"
    firmware: str = ""
    power_on_hours: int | None = field(default=None, metadata=VOLATILE)
    temperature: int | None = field(default=None, metadata=VOLATILE)  # °C
    percentage_used: int | None = field(default=None, metadata=VOLATILE)
    media_errors: int | None = field(default=None, metadata=VOLATILE)
    reallocated: int | None = field(default=None, metadata=VOLATILE)


@dataclass(frozen=True, slots=True)
class Smart:
    items: tuple[Health, ...]
    omitted: int = 0


def _inner(row: Mapping[str, Any], *keys: str) -> Any:
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _reallocated(row: Mapping[str, Any]) -> int | None:
    table = _inner(row, "ata_smart_attributes", "table")
    for entry in table if isinstance(table, list) else ():
        if _inner(entry, "id") == _REALLOCATED:
            return maybe_number(_inner(entry, "raw", "value"))
    return None


def _health(document: Any) -> Health | None:
    row = mapping(document, what="smartctl output")
    path = word(_inner(row, "device", "name"))
    if not path:
        return None
    passed = _inner(row, "smart_status", "passed")
    return Health(
        path=path,
        passed=passed if isinstance(passed, bool) else None,
        protocol=word(_inner(row, "device", "protocol")),
        firmware=word(row.get("firmware_version")),
        power_on_hours=maybe_number(_inner(row, "power_on_time", "hours")),
        temperature=maybe_number(_inner(row, "temperature", "current")),
        percentage_used=maybe_number(_inner(row, "nvme_smart_health_information_log", "percentage_used")),
        media_errors=maybe_number(_inner(row, "nvme_smart_health_information_log", "media_errors")),
        reallocated=_reallocated(row),
    )


def parse(text: str) -> Smart:
    items, omitted = capped(health for each in load_json_stream(text) if (health := _health(each)))
    return Smart(items=items, omitted=omitted)


FACT = FactSpec(
    name="smart",
    title="health of disks",
    # One hanging disk must not hide the others. smartctl's status is a bit mask of findings, not success:
    # only its absence matters here.
    command=(
        "if command -v smartctl >/dev/null; then"
        ' for d in $(lsblk -dnpo NAME -e 1,7,11); do timeout 10 smartctl --json=c -i -H -A "$d"; done; true;'
        " else smartctl --version; fi"
    ),
    parse=parse,
    model=Smart,
    strict=False,
    seconds=30,
    cap=128 * KIB,
)
