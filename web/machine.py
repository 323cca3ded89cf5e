"""A machine's facts as a page shows them: hardware, disks with their health, and what changed. Pure.

Facts that an older program stored, and that this one can't read, are no reason to show no page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facts.machine import smart
from facts.machine.smart import Health
from facts.machine_model import Hardware, HardwareDisk, hardware
from facts.snapshot import Facts, diff
from facts.spec import FactError, FactProblem
from web.present import Badge

_WORN = 90  # percent of what the maker says a disk can take


@dataclass(frozen=True, slots=True)
class DiskPart:
    disk: HardwareDisk
    badge: Badge
    health: Health | None

    @property
    def said(self) -> list[str]:
        """What the disk says in numbers."""
        if self.health is None:
            return []
        numbers = (
            (self.health.temperature, "°C"),
            (self.health.percentage_used, "% worn"),
            (self.health.power_on_hours, "h in use"),
        )
        return [f"{number} {unit}" for number, unit in numbers if number is not None]


@dataclass(frozen=True, slots=True)
class MachinePart:
    hardware: Hardware
    disks: Sequence[DiskPart]
    problems: Sequence[FactProblem]


@dataclass(frozen=True, slots=True)
class Changed:
    path: str
    before: str
    after: str


def of(taken: Mapping[str, Any]) -> MachinePart | None:
    """None if these facts can't be read."""
    try:
        facts = Facts.from_dict(taken["body"])
    except FactError:
        return None
    found = hardware(facts)
    answers = facts.get(smart.FACT)
    by_path = {each.path: each for each in answers.items} if answers else {}
    disks = [
        DiskPart(disk, disk_badge(by_path.get(disk.path)), by_path.get(disk.path)) for disk in found.disks
    ]
    return MachinePart(found, disks, facts.problems)


def disk_badge(health: Health | None) -> Badge:
    """A disk that does not say how it is, is not said to be well."""
    if health is None or health.passed is None:
        return Badge("unknown", "does not say")
    if not health.passed:
        return Badge("bad", "says that it fails: replace it")
    if (health.percentage_used or 0) >= _WORN:
        return Badge("warn", f"worn to {health.percentage_used} %: plan its replacement")
    if health.reallocated or health.media_errors:
        return Badge("warn", "has lost sectors: watch it")
    return Badge("good", "well")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Changed] | None:
    """What differs; None if one of them can't be read."""
    try:
        found = diff(Facts.from_dict(old["body"]), Facts.from_dict(new["body"]))
    except FactError:
        return None
    return [Changed(each.path, _text(each.before), _text(each.after)) for each in found]


def _text(value: Any) -> str:
    return "" if value is None else str(value)
