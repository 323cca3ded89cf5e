"""The maintenance calendar: who may work now, what is coming in any time zone, freeze and override.

Orders go through the same port as the command line's; the page computes no window.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError
from web.access.grants import Level
from web.access.guard import Guard, need, who
from web.access.sites import may_at
from web.calendar_port import Calendar, SiteWindows, WindowEntry
from web.calendar_rules import last_day, site_of_override, visible
from web.lists import Column, export
from web.ports import Queries

DAYS, MOST_DAYS, MOST_SITES, MOST_CHOSEN = 14, 62, 25, 500
MOST_NOW = 50  # sites in the table of how each stands
SAID = {
    "frozen": "Frozen: what is under way is finished; nothing new starts.",
    "lifted": "The freeze is lifted.",
    "asked": "The override is noted. It takes effect when somebody else approves it, or after its delay.",
    "approved": "Approved: the site is open now.",
    "cancelled": "The override is taken back.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One site over the days that are shown."""

    site: str
    days: Sequence[Sequence[WindowEntry]]


def make(calendar: Calendar, queries: Queries, _guard: Guard, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads and orders."""
    blueprint = Blueprint("calendar", __name__, url_prefix="/calendar")

    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        zone, asked = request.args.get("zone", "").strip()[:64], request.args.get("site", "")[:256]
        state = visible(calendar.state(zone), queries)
        first = _date(request.args.get("from", ""), clock().date())
        days = min(MOST_DAYS, max(1, _number(request.args.get("days", ""), DAYS)))
        last = last_day(first, days)
        sites = [each.site for each in state.sites if asked in ("", each.site)]
        entries = {site: calendar.entries(site, first, last, zone) for site in sites[:MOST_SITES]}
        saved = export([e for each in entries.values() for e in each], COLUMNS, "calendar")
        if saved is not None:
            return saved
        dates = [first + timedelta(days=number) for number in range(days)]
        return render_template(
            "calendar.html",
            state=state,
            dates=dates,
            rows=[Row(site, _by_day(each, dates)) for site, each in entries.items()],
            left=max(0, len(sites) - MOST_SITES),
            now_shown=_now(state.sites, asked)[:MOST_NOW],
            zones=sorted({"UTC", *(each.timezone for each in state.sites)}),
            first=first,
            days=days,
            zone=zone,
            site=asked,
            earlier=_moved(first, -days),
            later=_moved(first, days),
            said=SAID.get(request.args.get("said", ""), ""),
            may_act=who().may_somewhere(Level.OPERATOR),
        )

    _freezes(blueprint, calendar, queries)
    _overrides(blueprint, calendar, queries)
    return blueprint


def _now(sites: Sequence[SiteWindows], asked: str) -> list[SiteWindows]:
    """Who needs somebody first, then who is open, then who opens next."""
    found = [each for each in sites if asked in ("", each.site)]
    return sorted(found, key=lambda each: (not each.alarm, not each.open, each.next_start or "~", each.site))


def _freezes(blueprint: Blueprint, calendar: Calendar, queries: Queries) -> None:
    @blueprint.post("/freeze")
    @need(Level.OPERATOR)
    def freeze() -> ResponseReturnValue:
        sites = chosen_sites()
        for site in sites:
            may_at(Level.OPERATOR, site, queries)
        for site in sites:
            calendar.freeze(site=site, reason=_field("reason"), until=_field("until"), actor=who().actor)
        return _back("frozen")

    @blueprint.post("/unfreeze")
    @need(Level.OPERATOR)
    def unfreeze() -> ResponseReturnValue:
        site = _field("site")
        may_at(Level.OPERATOR, site, queries)
        calendar.unfreeze(site=site, reason=_field("reason"), actor=who().actor)
        return _back("lifted")


def _overrides(blueprint: Blueprint, calendar: Calendar, queries: Queries) -> None:
    @blueprint.post("/override")
    @need(Level.OPERATOR)
    def override() -> ResponseReturnValue:
        site = _field("site")
        if not site:
            raise OperatorError("an override is for one site", fix="choose the site")
        may_at(Level.OPERATOR, site, queries)
        length = timedelta(minutes=min(10_000, _number(_field("minutes"), 60)))
        calendar.override(site=site, reason=_field("reason"), length=length, person=who().person)
        return _back("asked")

    @blueprint.post("/approve")
    @need(Level.OPERATOR)
    def approve() -> ResponseReturnValue:
        may_at(Level.OPERATOR, site_of_override(_field("id"), calendar), queries)
        calendar.approve(_field("id"), person=who().person)
        return _back("approved")

    @blueprint.post("/cancel")
    @need(Level.OPERATOR)
    def cancel() -> ResponseReturnValue:
        may_at(Level.OPERATOR, site_of_override(_field("id"), calendar), queries)
        calendar.cancel(_field("id"), reason=_field("reason"), actor=who().actor)
        return _back("cancelled")


COLUMNS: list[Column[WindowEntry]] = [
    Column("site", "Site", lambda e: e.site, True),
    Column("window", "Window", lambda e: e.window, True),
    Column("day", "Date", lambda e: e.day),
    Column("local", "Local", lambda e: e.local),
    Column("start", "Start", lambda e: e.start),
    Column("end", "End", lambda e: e.end),
    Column("minutes", "Minutes", lambda e: e.minutes),
    Column("status", "Status", lambda e: e.status, True),
    Column("why", "Why", lambda e: e.why),
]


def chosen_sites() -> list[str]:
    """Those that were ticked; only "" if everything was."""
    sites = list(dict.fromkeys(request.form.getlist("site")))[:MOST_CHOSEN]
    if not sites:
        raise OperatorError("no site was chosen", fix="tick the sites, or every site")
    return [""] if "" in sites else sites


def _by_day(entries: Sequence[WindowEntry], dates: Sequence[date]) -> list[Sequence[WindowEntry]]:
    by_day: dict[str, list[WindowEntry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.day].append(entry)
    return [by_day[each.isoformat()] for each in dates]


def _moved(first: date, days: int) -> str:
    try:
        return (first + timedelta(days=days)).isoformat()
    except OverflowError:
        return first.isoformat()


def _date(text: str, otherwise: date) -> date:
    if not text:
        return otherwise
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OperatorError(f"{text[:20]!r} is no date", fix="write it as 2026-11-25") from None


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else otherwise


def _field(name: str) -> str:
    return request.form.get(name, "").strip()[:400]


def _back(said: str) -> ResponseReturnValue:
    return redirect(f"/calendar?said={said}", 303)
