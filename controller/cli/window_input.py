"""What people write after `cto window`: windows, dates, instants, lengths. The rules of site files hold."""

from datetime import date, timedelta
from typing import Any

from inventory.calendar import SiteCalendar
from inventory.errors import OperatorError

_WEEKS = timedelta(days=27)


def written_calendar(zone: str, days: str, start: str, end: str, duration: str) -> SiteCalendar:
    """The window of the command line, held to the same rules as one of a site file."""
    from pydantic import ValidationError

    from inventory.documents.maintenance_window import MaintenanceWindow as Document

    if not start:
        raise OperatorError("the window has no start", fix="pass --start HH:MM")
    spec: dict[str, Any] = {"timezone": zone, "start": start, "days": _days(days)}
    spec |= {name: value for name, value in (("end", end), ("duration", duration)) if value}
    try:
        made = Document.model_validate(
            {
                "apiVersion": "fleet/v1",
                "kind": "MaintenanceWindow",
                "metadata": {"name": "window"},
                "spec": spec,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        said = first.get("ctx", {})
        option = "".join(f"--{part}: " for part in first["loc"][1:2])
        option = option.replace("--timezone", "--zone")
        raise OperatorError(
            f"{option}{said.get('what', first['msg'])}",
            fix=str(said.get("fix", "see cto window preview --help")),
        ) from error
    return SiteCalendar("", zone, (made.value(()),))


def _days(text: str) -> list[str]:
    from controller.core.calendar.occurrences import WEEKDAYS

    days = [part.strip().capitalize() for part in text.split(",") if part.strip()]
    for day in days:
        if day not in WEEKDAYS:
            raise OperatorError(f"--days: {day!r} is not a weekday", fix="write Mon, Tue and so on")
    return days or list(WEEKDAYS)


def dates(first: str, last: str, today: date) -> tuple[date, date]:
    from controller.core.calendar.preview import FIRST, LAST

    start = _date(first, "--from") if first else today
    end = _date(last, "--until") if last else start + _WEEKS
    if not FIRST <= start <= end <= LAST:
        raise OperatorError(
            f"from {start} until {end} is no stretch of dates",
            fix=f"stay in order, between {FIRST} and {LAST}",
        )
    if end - start > timedelta(days=3700):
        raise OperatorError("that is more than ten years", fix="ask for a shorter stretch")
    return start, end


def _date(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OperatorError(f"{option}: {text!r} is not a date", fix="write it like 2026-03-28") from None


def minutes(text: str) -> int:
    from inventory.moments import duration_minutes

    found = duration_minutes(text)
    if not found:
        raise OperatorError(f"--for: {text!r} is not a duration", fix="write it like 2h, 90m or 1h30m")
    return found
