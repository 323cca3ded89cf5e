"""The words of a site file that are about time: zones, times of day, dates, moments, durations.

Checks how each is written; when a window opens is computed elsewhere.
"""

import re
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Annotated

from inventory.errors import OperatorError
from inventory.values import checked, matching, quote, refuse, text

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?")
_MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


@cache
def _zones() -> frozenset[str]:
    # Etc/GMT-3 and the like are fixed offsets in another coat.
    # The package's list, not the machine's, so that a file is right or wrong everywhere alike.
    every = (files("tzdata") / "zones").read_text(encoding="ascii").split()
    return frozenset(zone for zone in every if zone == "UTC" or ("/" in zone and not zone.startswith("Etc/")))


def _zone(value: str) -> str:
    if value in _zones():
        return value
    if re.fullmatch(r"(UTC|GMT|Z)?[-+]?[0-9:]*", value) or value.startswith("Etc/"):
        why = "a fixed offset, which is wrong for half of the year"
    elif "/" not in value:
        why = "an abbreviation or alias, which names no place"
    else:
        why = "not a zone of the IANA database"
    close = get_close_matches(value, _zones(), n=2, cutoff=0.6) or [
        zone for zone in sorted(_zones()) if zone.rpartition("/")[2].casefold() == value.casefold()
    ]
    fix = (
        "did you mean " + " or ".join(close) + "?"
        if close
        else "write area/city, such as Europe/Berlin, or UTC"
    )
    return refuse(f"{quote(value)} is {why}", fix)


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value) or duration_minutes(value) == 0:
        refuse(f"{quote(value)} is not a duration", "write hours and minutes, such as 4h, 90m or 1h30m")
    return value


def duration_minutes(value: str) -> int:
    """The minutes of a checked duration."""
    found = _DURATION.fullmatch(value)
    hours, minutes = found.groups() if found else (None, None)
    return int(hours or 0) * 60 + int(minutes or 0)


def _date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        refuse(f"{quote(value)} is not a date", "write year-month-day, such as 2026-12-24")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        refuse(f"{quote(value)} is not a date", "write year-month-day, such as 2026-12-24")
    return value


def _moment(value: str) -> str:
    """A whole local day, a day of every year, or an instant with its offset."""
    if _MONTH_DAY.fullmatch(value):
        try:
            date.fromisoformat(f"2024-{value}")  # a leap year: 02-29 is a day of some years
        except ValueError:
            refuse(f"{quote(value)} is a day that no year has", "write month-day, such as 12-24")
        return value
    if "T" not in value:
        return _date(value)
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        refuse(
            f"{quote(value)} is not a moment", "write a date, or an instant such as 2026-12-24T18:00:00+01:00"
        )
    if instant.utcoffset() is None:
        refuse(f"{quote(value)} does not say its offset from UTC", f"write {value}Z, or {value}+01:00")
    return value


def instant(value: str, where: str = "") -> datetime:
    """A moment that somebody typed, in UTC. `where`: what to call the place, such as "--until"."""
    found: datetime | None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise OperatorError(
            f"{where + ': ' if where else ''}{quote(value[:40])} is not an instant",
            fix="write it with its offset, as in 2026-12-05T18:00:00Z",
        )
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise OperatorError(
            f"no calendar goes as far as {quote(value[:40])}", fix="name a nearer one"
        ) from None


Zone = Annotated[str, *checked(_zone, "Europe/Berlin")]
Duration = Annotated[str, *checked(_duration, "4h")]
Date = Annotated[str, *checked(_date, "2026-12-24")]
Moment = Annotated[str, *checked(_moment, "2026-12-24")]
_TIME_FIX = "write hours and minutes with two digits each, from 00:00 to 23:59"
Time = Annotated[str, matching(_TIME, "a time of day", _TIME_FIX), text(_TIME, "02:00")]
