"""Reads the maintenance calendar's tables, for the writer's connection and for the readers' alike."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whatever opens the store imports this module; only a question about windows needs these
    from inventory.calendar import Freeze, Opened, Override, SiteCalendar

Rows = Callable[[str, Sequence[Any]], list[sqlite3.Row]]
_FREEZES = """SELECT id, reason, actor, since, until, site FROM freezes
    WHERE lifted_at = '' AND (until = '' OR until > ?) ORDER BY since, id"""
_OVERRIDES = """SELECT id, site, reason, actor, since, until, second, approved_by FROM overrides
    WHERE cancelled_at = '' AND until > ? ORDER BY since, id"""


def calendars(
    rows: Rows, known: "Mapping[tuple[str, str], SiteCalendar] | None" = None
) -> "dict[tuple[str, str], SiteCalendar]":
    """Of every site that was declared, in the order of their names; by name and text. Those that are `known`
    are not made again.
    """
    found = ((row["site"], row["body"]) for row in rows("SELECT site, body FROM calendars ORDER BY site", []))
    return {key: (known or {}).get(key) or _calendar(key[0], json.loads(key[1])) for key in found}


def calendar(rows: Rows, site: str) -> "SiteCalendar | None":
    found = rows("SELECT body FROM calendars WHERE site = ?", [site])
    return _calendar(site, json.loads(found[0]["body"])) if found else None


def freezes(rows: Rows, at: str) -> "tuple[Freeze, ...]":
    """Those that are neither lifted nor over."""
    return tuple(map(freeze_of, rows(_FREEZES, [at])))


def overrides(rows: Rows, at: str) -> "tuple[Override, ...]":
    """Those that are neither cancelled nor over; not all of them are agreed or have begun."""
    return tuple(map(override_of, rows(_OVERRIDES, [at])))


def opened(rows: Rows, since: str) -> "tuple[Opened, ...]":
    """Occurrences that were open at `since` or later, while a controller ran."""
    from inventory.calendar import Opened

    sql = "SELECT * FROM occurrences WHERE outcome = 'opened' AND end >= ? ORDER BY start, site, window"
    return tuple(
        Opened(
            row["site"],
            row["window"],
            date.fromisoformat(row["day"]),
            datetime.fromisoformat(row["start"]),
            datetime.fromisoformat(row["end"]),
        )
        for row in rows(sql, [since])
    )


def foreseen(rows: Rows, site: str) -> "tuple[str, tuple[Opened, ...]]":
    """(version of the zone rules, the openings that they gave); empty if nothing was kept."""
    from inventory.calendar import Opened

    kept = rows("SELECT tzdata, body FROM foreseen WHERE site = ?", [site])
    if not kept:
        return "", ()
    return kept[0]["tzdata"], tuple(
        Opened(
            site,
            window,
            date.fromisoformat(day),
            datetime.fromisoformat(start),
            datetime.fromisoformat(end),
        )
        for window, day, start, end in json.loads(kept[0]["body"])
    )


def time_state(rows: Rows) -> tuple[str, str]:
    """(the latest time that is known to have passed, why the clock is not trusted); empty: nothing known."""
    kept = rows("SELECT floor, untrusted FROM time_trust", [])
    audited = rows("SELECT at FROM audit ORDER BY seq DESC LIMIT 1", [])
    floor, untrusted = (kept[0]["floor"], kept[0]["untrusted"]) if kept else ("", "")
    return floor or (audited[0]["at"] if audited else ""), untrusted


def freeze_of(row: sqlite3.Row) -> "Freeze":
    from inventory.calendar import Freeze

    until = datetime.fromisoformat(row["until"]) if row["until"] else None
    since = datetime.fromisoformat(row["since"])
    return Freeze(row["id"], row["reason"], row["actor"], since, until, row["site"])


def override_of(row: sqlite3.Row) -> "Override":
    from inventory.calendar import Override

    values = dict(row)
    for name in ("since", "until"):
        values[name] = datetime.fromisoformat(values[name])
    return Override(**{**values, "second": bool(values["second"])})


def _calendar(site: str, body: dict[str, Any]) -> "SiteCalendar":
    from inventory.calendar import Blackout, MaintenanceWindow, SiteCalendar

    windows = (
        MaintenanceWindow(**{**each, "sites": (site,), "days": tuple(each["days"])})
        for each in body["windows"]
    )
    blackouts = (Blackout(**{**each, "sites": (site,)}) for each in body["blackouts"])
    return SiteCalendar(site, body["timezone"], tuple(windows), tuple(blackouts))
