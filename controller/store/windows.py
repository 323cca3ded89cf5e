"""The maintenance calendar in the store: declared windows, freezes, overrides, occurrences, the time floor.

Keeps and audits. Which freeze or override is right, and what they mean for now, is decided by the calendar.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from controller.store import audit, windows_read
from controller.store.base import StoreBase, Unit, iso
from controller.store.connection import to_json
from inventory.errors import OperatorError, RefusedError

if TYPE_CHECKING:  # every command opens the store, few ask about windows
    from inventory.calendar import Blackout, Freeze, MaintenanceWindow, Opened, Override, SiteCalendar


class WindowsChapter(StoreBase):
    def declare_calendars(self, calendars: "Iterable[SiteCalendar]", *, actor: str) -> tuple[str, ...]:
        """Takes over what the site files say of these sites' time; returns the sites where that is new."""
        with self._unit() as unit:
            changed = tuple(each.site for each in calendars if _put_calendar(unit, each))
            if changed:
                names = ", ".join(changed)
                unit.event("CalendarChanged", "controller", f"windows or blackouts of {names}")
                unit.audit(audit.Entry(actor, "declare calendar", names[:500], after=str(len(changed))))
        return changed

    def calendars(self) -> "tuple[SiteCalendar, ...]":
        return tuple(windows_read.calendars(self._rows).values())

    # --- freezes

    def freeze(self, freeze: "Freeze") -> None:
        """From now on nothing disruptive starts there."""
        until = iso(freeze.until) if freeze.until else ""
        with self._unit() as unit:
            unit.execute(
                "INSERT INTO freezes (id, site, reason, actor, since, until) VALUES (?, ?, ?, ?, ?, ?)",
                [freeze.id, freeze.site, freeze.reason, freeze.actor, iso(freeze.since), until],
            )
            where = freeze.site or "every site"
            unit.event("Frozen", "controller", f"{where}: {freeze.reason}", {"until": until})
            unit.audit(
                audit.Entry(freeze.actor, "freeze", _object(freeze.site), after=until, reason=freeze.reason)
            )

    def unfreeze(self, site: str, *, actor: str, reason: str) -> "tuple[Freeze, ...]":
        """Lifts the freezes of `site`, or of everything for ""; returns them."""
        with self._unit() as unit:
            lifted = tuple(each for each in windows_read.freezes(_in(unit), unit.at) if each.site == site)
            for each in lifted:
                unit.execute("UPDATE freezes SET lifted_at = ? WHERE id = ?", [unit.at, each.id])
            if lifted:
                unit.event("Unfrozen", "controller", f"{site or 'every site'}: {reason}")
                before = "; ".join(each.reason for each in lifted)
                unit.audit(audit.Entry(actor, "unfreeze", _object(site), before=before, reason=reason))
        return lifted

    def freezes(self) -> "tuple[Freeze, ...]":
        return windows_read.freezes(self._rows, self._stamp())

    # --- overrides

    def put_override(self, override: "Override", *, actor: str, action: str) -> None:
        """A new one, or what became of one by an approval. One site has one at a time."""
        with self._unit() as unit:
            for each in windows_read.overrides(_in(unit), unit.at):
                if each.site == override.site and each.id != override.id:
                    what = (
                        f"site {each.site} has an override" if each.site else "the clock has somebody's word"
                    )
                    raise RefusedError(
                        f"{what} until {iso(each.until)} already ({each.reason})",
                        fix=f"cancel it first: cto window cancel {each.id}",
                    )
            unit.execute(
                "INSERT INTO overrides (id, site, reason, actor, since, until, second, approved_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " since = excluded.since, until = excluded.until, approved_by = excluded.approved_by",
                _override_values(override),
            )
            span = f"{iso(override.since)}/{iso(override.until)}"
            kind = f"Override{action.capitalize()}" if override.site else f"ClockWord{action.capitalize()}"
            unit.event(kind, "controller", f"{override.site or actor}: {override.reason}")
            unit.audit(
                audit.Entry(
                    actor,
                    f"{action} override" if override.site else f"{action} confirmation of the clock",
                    _object(override.site) if override.site else "time",
                    after=f"{override.id} {span}",
                    reason=override.reason,
                )
            )

    def override(self, id_: str) -> "Override":
        """One that is not over. Raises OperatorError."""
        found = next((each for each in self.overrides() if each.id == id_), None)
        if found is None:
            raise OperatorError(f"there is no override {id_!r} under way", fix="see `cto window list`")
        return found

    def cancel_override(self, override: "Override", *, actor: str, reason: str) -> None:
        with self._unit() as unit:
            unit.execute("UPDATE overrides SET cancelled_at = ? WHERE id = ?", [unit.at, override.id])
            kind = "OverrideCancelled" if override.site else "ClockWordEnded"
            unit.event(kind, "controller", f"{override.site or actor}: {reason}")
            what = "cancel override" if override.site else "end confirmation of the clock"
            unit.audit(
                audit.Entry(
                    actor,
                    what,
                    _object(override.site) if override.site else "time",
                    before=override.id,
                    reason=reason,
                )
            )

    def overrides(self) -> "tuple[Override, ...]":
        return windows_read.overrides(self._rows, self._stamp())

    # --- occurrences

    def opened(self, since: datetime) -> "tuple[Opened, ...]":
        return windows_read.opened(self._rows, iso(since))

    def note_opened(self, occurrences: "Sequence[Opened]", kept: "Sequence[Opened]" = ()) -> "list[Opened]":
        """Occurrences that are open now; returns those seen for the first time. `kept`: earlier ones whose
        end an edit moved. An end moves only to an earlier time.
        """
        if not occurrences and not kept:
            return []
        with self._unit() as unit:
            new = [each for each in occurrences if _insert(unit, each, "opened")]
            for each in new:
                message = f"{each.window} of {each.day} is open until {iso(each.end)}"
                unit.event("WindowOpened", f"site/{each.site}", message, {"end": iso(each.end)})
            for each in (*occurrences, *kept):
                unit.execute(
                    "UPDATE occurrences SET end = ? WHERE site = ? AND window = ? AND day = ? AND end > ?",
                    [iso(each.end), each.site, each.window, each.day.isoformat(), iso(each.end)],
                )
        return new

    def note_missed(self, site: str, occurrences: "Sequence[Opened]") -> None:
        """Windows that passed while no controller ran: one event, however many they are."""
        with self._unit() as unit:
            new = [each for each in occurrences if _insert(unit, each, "missed")]
            if new:
                last = new[-1]
                message = f"{len(new)} passed while no controller ran, the last one on {last.day}"
                unit.event("WindowsMissed", f"site/{site}", message, {"count": len(new)})

    def foreseen(self, site: str) -> "tuple[str, tuple[Opened, ...]]":
        return windows_read.foreseen(self._rows, site)

    def keep_foreseen(
        self, site: str, tzdata: str, openings: "Sequence[Opened]", moved: Sequence[str] = ()
    ) -> None:
        """What these zone rules say of the next weeks, and a sentence for each opening that they moved."""
        body = [[each.window, each.day.isoformat(), iso(each.start), iso(each.end)] for each in openings]
        with self._unit() as unit:
            for message in moved:
                unit.event("WindowMoved", f"site/{site}", message, {"tzdata": tzdata})
            unit.execute(
                "INSERT INTO foreseen (site, tzdata, body) VALUES (?, ?, ?)"
                " ON CONFLICT (site) DO UPDATE SET tzdata = excluded.tzdata, body = excluded.body",
                [site, tzdata, to_json(body)],
            )

    # --- time

    def time_state(self) -> tuple[str, str]:
        return windows_read.time_state(self._rows)

    def keep_time(self, floor: datetime, untrusted: str) -> None:
        """What the calendar judged of the clock. A change of trust is an event and an audit row."""
        with self._unit() as unit:
            before = unit.one("SELECT untrusted FROM time_trust")
            _put_time(unit, floor, untrusted)
            if (before["untrusted"] if before else "") != untrusted:
                kind = "TimeUntrusted" if untrusted else "TimeTrusted"
                unit.event(kind, "controller", untrusted or "the clock is in step again")
                unit.audit(audit.Entry("engine", "judge the clock", "time", after=kind, reason=untrusted))

    def confirm_time(self, floor: datetime, *, actor: str, reason: str) -> None:
        """An operator's word. The only way in which the floor goes back."""
        with self._unit() as unit:
            before = unit.one("SELECT floor FROM time_trust")
            _put_time(unit, floor, "")
            unit.event("TimeConfirmed", "controller", f"{actor}: {reason}")
            was = str(before["floor"]) if before else ""
            unit.audit(
                audit.Entry(actor, "confirm the clock", "time", before=was, after=iso(floor), reason=reason)
            )


def frozen_reason(unit: Unit, site: str) -> str:
    """Why nothing may start at `site`; "" if nothing stops it. For the transaction that starts something."""
    for each in windows_read.freezes(_in(unit), unit.at):
        if each.concerns(site):
            return each.why
    return ""


def _in(unit: Unit) -> windows_read.Rows:
    return lambda sql, values: unit.execute(sql, values).fetchall()


def _object(site: str) -> str:
    return f"site/{site}" if site else "fleet"


def _put_calendar(unit: Unit, calendar: "SiteCalendar") -> bool:
    body = to_json(
        {
            "timezone": calendar.timezone,
            "windows": [_plain(each) for each in calendar.windows],
            "blackouts": [_plain(each) for each in calendar.blackouts],
        }
    )
    before = unit.one("SELECT body FROM calendars WHERE site = ?", [calendar.site])
    if before is not None and before["body"] == body:
        return False
    unit.execute(
        "INSERT INTO calendars (site, body, declared_at) VALUES (?, ?, ?)"
        " ON CONFLICT (site) DO UPDATE SET body = excluded.body, declared_at = excluded.declared_at",
        [calendar.site, body, unit.at],
    )
    unit.execute("DELETE FROM foreseen WHERE site = ?", [calendar.site])  # of windows that are no more
    return True


def _plain(value: "MaintenanceWindow | Blackout") -> dict[str, object]:
    return {name: part for name, part in asdict(value).items() if name != "sites"}


def _override_values(override: "Override") -> list[str | int]:
    return [
        override.id,
        override.site,
        override.reason,
        override.actor,
        iso(override.since),
        iso(override.until),
        int(override.second),
        override.approved_by,
    ]


def _insert(unit: Unit, each: "Opened", outcome: str) -> bool:
    done = unit.execute(
        "INSERT INTO occurrences (site, window, day, start, end, outcome, noted_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        # A missed one that an edit moved to a later hour of its day may open after all.
        " outcome = excluded.outcome, start = excluded.start, end = excluded.end,"
        " noted_at = excluded.noted_at"
        " WHERE outcome = 'missed' AND excluded.outcome = 'opened'",
        [each.site, each.window, each.day.isoformat(), iso(each.start), iso(each.end), outcome, unit.at],
    )
    return done.rowcount == 1


def _put_time(unit: Unit, floor: datetime, untrusted: str) -> None:
    unit.execute(
        "INSERT INTO time_trust (id, floor, untrusted) VALUES (1, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET floor = excluded.floor, untrusted = excluded.untrusted",
        [iso(floor), untrusted],
    )
