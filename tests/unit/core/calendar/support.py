"""Windows and calendars in few words."""

from datetime import UTC, datetime, timedelta

from controller.core.calendar.spans import Span
from inventory.calendar import Blackout, MaintenanceWindow, SiteCalendar

EVERY = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    """ "2026-03-28 22:00" → an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str, end: str) -> Span:
    return Span(at(start), at(end))


def length(start: str, end: str) -> int:
    """Minutes; an end that is not after the start is on the next day."""
    times = [timedelta(hours=int(t[:2]), minutes=int(t[3:])) for t in (start, end)]
    return (int((times[1] - times[0]).total_seconds()) // 60 - 1) % 1440 + 1


def window(start: str, end: str, days=EVERY, name: str = "w", **more) -> MaintenanceWindow:
    return MaintenanceWindow(name, ("s",), "", tuple(days), start, length(start, end), end, **more)


def site(
    *windows: MaintenanceWindow, zone: str = BERLIN, blackouts: tuple[Blackout, ...] = ()
) -> SiteCalendar:
    return SiteCalendar("s", zone, windows, blackouts)


def blackout(start: str, end: str, *, hard: bool = False, name: str = "b") -> Blackout:
    return Blackout(name, ("s",), start, end, "stocktaking", hard)
