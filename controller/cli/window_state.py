"""Reads and shows how each site's calendar stands now: for `cto window list` and `cto status`.

Reads the store only, so it tells what was declared by `cto apply`, and not what a file on disk says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import click

from controller.cli.output import COLORS, human_seconds, plain, table
from controller.cli.text import clean
from controller.core.calendar.allowed import Circumstances, Decision, decide
from controller.core.calendar.instants import wall
from controller.core.calendar.notices import ENOUGH, Skip, scarcest, skips
from controller.core.calendar.preview import utc
from controller.core.calendar.trust import Reading, TimeState, judge
from controller.core.calendar.zones import UnknownZoneError, zone
from inventory.calendar import Freeze, Opened, Override, SiteCalendar

_RECENT = timedelta(days=3)


class Reads(Protocol):
    """What of `StoreQueries` is needed here."""

    def calendars(self) -> Sequence[SiteCalendar]: ...
    def freezes(self, at: str) -> Sequence[Freeze]: ...
    def overrides(self, at: str) -> Sequence[Override]: ...
    def opened(self, since: str) -> Sequence[Opened]: ...
    def time_state(self) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class SiteState:
    calendar: SiteCalendar
    decision: Decision
    skips: tuple[Skip, ...]  # of the next two weeks

    def to_dict(self) -> dict[str, Any]:
        following = self.decision.next
        return {
            "site": self.calendar.site,
            "timezone": self.calendar.timezone,
            "windows": [window.name for window in self.calendar.windows],
            "open": self.decision.open,
            "until": utc(self.decision.until) if self.decision.until else None,
            "next": {"start": utc(following.start), "end": utc(following.end)} if following else None,
            "why": list(self.decision.why),
            "alarm": self.decision.alarm or any(each.alarm for each in self.skips),
        }


@dataclass(frozen=True, slots=True)
class States:
    sites: tuple[SiteState, ...]
    freezes: tuple[Freeze, ...]
    overrides: tuple[Override, ...]
    untrusted: str

    def of(self, site: str) -> "States":
        """What concerns one site."""
        return replace(
            self,
            sites=tuple(each for each in self.sites if each.calendar.site == site),
            freezes=tuple(each for each in self.freezes if each.concerns(site)),
            overrides=tuple(each for each in self.overrides if each.site == site),
        )

    def to_dict(self) -> Mapping[str, Any]:
        return {
            "sites": [each.to_dict() for each in self.sites],
            "freezes": [plain(each) for each in self.freezes],
            "overrides": [plain(each) for each in self.overrides],
            "time_untrusted": self.untrusted,
        }


def read_states(queries: Reads, now: datetime, *, synchronized: bool) -> States:
    """How every site stands at `now`."""
    calendars = queries.calendars()
    floor, untrusted = queries.time_state()
    state = TimeState(datetime.fromisoformat(floor) if floor else None, untrusted)
    verdict = judge(state, Reading(now, 0), synchronized=synchronized)
    told = Circumstances(
        freezes=tuple(queries.freezes(_stored(now))),
        overrides=tuple(queries.overrides(_stored(now))),
        opened=tuple(queries.opened(_stored(now - _RECENT))) if calendars else (),
        untrusted=verdict.state.untrusted,
    )
    sites = tuple(SiteState(each, decide(each, now, told), _skips(each, now)) for each in calendars)
    return States(sites, told.freezes, told.overrides, told.untrusted)


def show_states(states: States) -> None:
    """Sites, then freezes and overrides, then what somebody has to look at."""
    rows = [_row(each) for each in states.sites]
    if rows:
        table(("SITE", "NOW", "NEXT (LOCAL)", "NEXT (UTC)", "ZONE"), rows)
    else:
        click.echo("No windows are known yet.\n  → `cto apply` takes over what the site files say")
    show_switches(states)
    show_skips(states)


def show_skips(states: States, *, alarms: bool = False) -> None:
    """Windows of the next two weeks that the clocks shorten or leave out; or only what needs somebody."""
    for each in states.sites:
        for skip in each.skips:
            if alarms and not skip.alarm:
                continue
            occurrence = skip.occurrence
            what = f"{occurrence.window} of {occurrence.day} is {occurrence.status}: the clocks change"
            only = "; nothing else opens within a week of it" if skip.alarm else ""
            _need(each.calendar.site, what + only, "bad" if skip.alarm else "warn")


def show_switches(states: States) -> None:
    """What people switched, and whether the clock is believed; nothing if there is nothing to tell."""
    if states.untrusted and states.sites:
        _need("time", f"{states.untrusted}; all windows are closed", "bad")
        click.echo("    → set the clock, or if it is right: cto window confirm-clock --reason …")
    for freeze in states.freezes:
        until = f"until {utc(freeze.until)}" if freeze.until else "until it is lifted"
        _need(freeze.site or "every site", f"frozen {until} by {freeze.actor}: {freeze.reason}", "warn")
    for each in states.overrides:
        what = "override" if each.site else "the clock is believed"
        when = f"{what} from {utc(each.since)}" + (f" until {utc(each.until)}" if each.site else " on")
        agreed = "" if each.agreed else f"; waits for a second person: cto window approve {each.id}"
        _need(each.site or "time", f"{when} by {each.actor}: {each.reason}{agreed}", "warn")


def windows_text(decision: Decision, timezone: str) -> str:
    """For a table: until when it is open, when it opens next, or why it never does."""
    if decision.until:
        return f"open until {_local(decision.until, timezone)}"
    return _next(decision, timezone) or "; ".join(decision.why)


def scarcity_text(calendar: SiteCalendar, now: datetime) -> str:
    """A warning if a site has less time than rollouts need to go on; empty if it has enough."""
    try:
        found = scarcest(calendar, now)
    except UnknownZoneError as error:
        return f"site {calendar.site}: {error.what}"
    if found.time >= ENOUGH:
        return ""
    hours = human_seconds(found.time.total_seconds())
    return (
        f"site {calendar.site} has only {hours} of open windows in the 32 days from {found.start:%Y-%m-%d}; "
        "under 48 h, updates may not get through"
    )


def _skips(calendar: SiteCalendar, now: datetime) -> tuple[Skip, ...]:
    try:
        return tuple(skips(calendar, now))
    except UnknownZoneError:
        return ()  # the decision says so, with an alarm


def _row(state: SiteState) -> tuple[object, ...]:
    decision, zone_name = state.decision, state.calendar.timezone
    if decision.until:
        now: tuple[str, str] = (windows_text(decision, zone_name), "good")
    else:
        now = ("; ".join(decision.why), "bad" if decision.alarm else "idle")
    following = utc(decision.next.start) if decision.next else ""
    return state.calendar.site, now, _next(decision, zone_name), following, zone_name


def _next(decision: Decision, timezone: str) -> str:
    span = decision.next
    return f"{_local(span.start, timezone)} to {_local(span.end, timezone)}" if span else ""


def _local(instant: datetime, timezone: str) -> str:
    return f"{wall(instant, zone(timezone)):%a %Y-%m-%d %H:%M}"


def _need(subject: str, text: str, tone: str) -> None:
    mark = click.style("!" if tone == "bad" else "·", fg=COLORS[tone])
    click.echo(f"  {mark} {clean(subject)}: {clean(text, 400)}")


def _stored(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
