"""Shows calendars on a terminal: a table of occurrences, and the weeks as a picture. Decides nothing."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import click

from controller.cli.output import table
from controller.core.calendar.instants import wall
from controller.core.calendar.preview import Entry, grid, utc
from controller.core.calendar.spans import Span

if TYPE_CHECKING:
    from rich.text import Text

_TONES = {"open": "good", "shortened": "warn", "skipped": "bad"}
_CELLS = 8  # of a day, three hours each
_FULL, _PART, _NONE = "█", "▒", "·"
_MOST_WEEKS = 14  # more fill the screen and tell nothing
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def entry_dict(entry: Entry) -> dict[str, object]:
    """One item of `cto window preview --output json`; these six keys and no other."""
    return {
        "local_start_date": entry.day.isoformat(),
        "start": utc(entry.span.start) if entry.span else None,
        "end": utc(entry.span.end) if entry.span else None,
        "minutes": entry.minutes,
        "nominal_minutes": entry.nominal_minutes,
        "status": str(entry.status),
    }


def show_entries(entries: Sequence[Entry], here: tzinfo, *, names: bool) -> None:
    """Local and UTC side by side; the length as promised where the real one differs."""
    head = ("DATE", "LOCAL", "UTC", "LENGTH", "STATUS", "WHY")
    rows = []
    for entry in entries:
        length = str(entry.minutes)
        if entry.minutes != entry.nominal_minutes:
            length += f" of {entry.nominal_minutes}"
        row: tuple[object, ...] = (
            f"{_DAYS[entry.day.weekday()]} {entry.day}",
            local(entry.span, here, entry.day),
            f"{utc(entry.span.start)}/{utc(entry.span.end)}" if entry.span else "",
            f"{length} min",
            (str(entry.status), _TONES[entry.status]),
            "; ".join(entry.why) or " ",
        )
        rows.append((entry.window, *row) if names else row)
    table(("WINDOW", *head) if names else head, rows)


def local(span: Span | None, here: tzinfo, day: date) -> str:
    """As the clock on the wall shows it; with the days that follow the first one."""
    if span is None:
        return ""
    return f"{_clock(span.start, here, day)} to {_clock(span.end, here, day)}"


def _clock(instant: datetime, here: tzinfo, day: date) -> str:
    shown = wall(instant, here)
    after = (shown.date() - day).days
    return f"{shown:%H:%M}{f' +{after}d' if after else ''} {instant.astimezone(here):%Z}"


def show_picture(entries: Sequence[Entry], here: tzinfo, first: date, last: date) -> None:
    """Weeks from top to bottom, days from left to right, three hours a cell, in local time."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    monday = first - timedelta(days=first.weekday())
    weeks = (last - monday).days // 7 + 1
    picture = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("week of", *_DAYS):
        picture.add_column(name, no_wrap=True)
    skipped = {entry.day for entry in entries if entry.status == "skipped"}
    for week in range(min(weeks, _MOST_WEEKS)):
        days = [monday + timedelta(days=7 * week + number) for number in range(7)]
        cells = [
            _day(entries, here, day, day in skipped) if first <= day <= last + timedelta(days=1) else Text("")
            for day in days
        ]
        picture.add_row(Text(days[0].isoformat()), *cells)
    click.echo()
    console = Console(width=max(90, Console().width), highlight=False)
    console.print(picture)
    more = f"; {weeks - _MOST_WEEKS} more weeks are not drawn" if weeks > _MOST_WEEKS else ""
    click.echo(f"{_FULL} open  {_PART} open in part  {_NONE} closed  ✗ skipped; a cell is three hours{more}")


def _day(entries: Sequence[Entry], here: tzinfo, day: date, skipped: bool) -> "Text":
    from rich.text import Text

    marks = "".join(
        _FULL if share >= 1 else _PART if share > 0 else _NONE
        for share in grid(list(entries), here, day, _CELLS)
    )
    text = Text(marks, style="green" if marks != _NONE * _CELLS else "dim")
    if skipped:
        text = Text(marks[:-1], style=text.style) + Text("✗", style="red")
    return text
