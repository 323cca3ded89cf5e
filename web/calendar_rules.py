"""What page and API share of the calendar: what a visitor may see of it, and the span of dates asked for."""

from dataclasses import replace
from datetime import date, timedelta

from inventory.errors import OperatorError, UnknownName
from web.calendar_port import Calendar, CalendarState
from web.ports import Queries

MOST_DAYS = 366


def visible(state: CalendarState, queries: Queries) -> CalendarState:
    """Of the sites that the visitor may see; a freeze of everything, and the clock, concern everybody."""
    names = {site.name for site in queries.sites()}
    return replace(
        state,
        sites=[each for each in state.sites if each.site in names],
        freezes=[each for each in state.freezes if each.site in names or not each.site],
        overrides=[each for each in state.overrides if each.site in names or not each.site],
    )


def site_of_override(id_: str, calendar: Calendar) -> str:
    for each in calendar.state().overrides:
        if each.id == id_:
            return each.site
    raise UnknownName(f"there is no override {id_[:40]!r}", fix="see the calendar")


def last_day(first: date, days: int) -> date:
    try:
        return first + timedelta(days=days - 1)
    except OverflowError:
        raise OperatorError("no calendar goes that far", fix="ask for an earlier date") from None
