"""Operations on the maintenance calendar: how it stands, what is coming, freeze and override."""

from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from web.access.grants import Level
from web.access.guard import who
from web.access.sites import may_at
from web.api.operations import Operations, Strict
from web.calendar_port import Calendar, CalendarState, OverrideView, WindowEntry
from web.calendar_rules import last_day, site_of_override, visible
from web.ports import Queries

Name = Annotated[str, StringConstraints(max_length=256)]
Reason = Annotated[str, StringConstraints(min_length=8, max_length=400)]
MOST_DAYS = 366


class EntriesParams(Strict):
    first: date = Field(description="The first local date.")
    days: int = Field(default=28, ge=1, le=MOST_DAYS)
    zone: str = Field(default="", max_length=64, description="Whose wall clock `local` is of.")


class NewFreeze(Strict):
    reason: Reason
    site: Name = Field(default="", description="Empty: everywhere.")
    until: str = Field(default="", max_length=40, description="An instant; empty: until it is lifted.")


class LiftFreeze(Strict):
    reason: Reason
    site: Name = ""


class NewOverride(Strict):
    site: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    reason: Reason
    minutes: int = Field(default=60, ge=1, le=240)


class CancelOverride(Strict):
    reason: Reason


def add(operations: Operations, calendar: Calendar, queries: Queries) -> None:
    """Adds them to the others."""
    _reading(operations, calendar, queries)
    _freezes(operations, calendar, queries)
    _overrides(operations, calendar, queries)


def _reading(operations: Operations, calendar: Calendar, queries: Queries) -> None:
    @operations.add("GET", "/calendar", level=Level.VIEWER, answer=CalendarState)
    def get_calendar() -> CalendarState:
        """Whether each site is open now, when next, and what people switched."""
        return visible(calendar.state(), queries)

    @operations.add(
        "GET",
        "/calendar/<site>",
        level=Level.VIEWER,
        answer=list[WindowEntry],
        params=EntriesParams,
    )
    def get_windows(site: str, params: EntriesParams) -> Any:
        """Each time a site's windows open, as the rules say; without freezes and overrides."""
        may_at(Level.VIEWER, site, queries)
        return list(calendar.entries(site, params.first, last_day(params.first, params.days), params.zone))


def _freezes(operations: Operations, calendar: Calendar, queries: Queries) -> None:
    @operations.add(
        "POST", "/freezes", level=Level.OPERATOR, answer=CalendarState, body=NewFreeze, status=201
    )
    def freeze(body: NewFreeze) -> CalendarState:
        """Nothing disruptive starts from now on, at one site or everywhere."""
        may_at(Level.OPERATOR, body.site, queries)
        calendar.freeze(site=body.site, reason=body.reason, until=body.until, actor=who().actor)
        return visible(calendar.state(), queries)

    @operations.add("POST", "/freezes/lift", level=Level.OPERATOR, answer=CalendarState, body=LiftFreeze)
    def unfreeze(body: LiftFreeze) -> CalendarState:
        """Lifts the freezes of one site, or of everything."""
        may_at(Level.OPERATOR, body.site, queries)
        calendar.unfreeze(site=body.site, reason=body.reason, actor=who().actor)
        return visible(calendar.state(), queries)


def _overrides(operations: Operations, calendar: Calendar, queries: Queries) -> None:
    @operations.add(
        "POST", "/overrides", level=Level.OPERATOR, answer=OverrideView, body=NewOverride, status=201
    )
    def override(body: NewOverride) -> OverrideView:
        """Opens a window by hand; a second person agrees, or ten minutes pass where there is none."""
        may_at(Level.OPERATOR, body.site, queries)
        length = timedelta(minutes=body.minutes)
        return calendar.override(site=body.site, reason=body.reason, length=length, person=who().person)

    @operations.add("POST", "/overrides/<id_>/approval", level=Level.OPERATOR, answer=CalendarState)
    def approve(id_: str) -> CalendarState:
        """Agrees, as the second person, to an override."""
        may_at(Level.OPERATOR, site_of_override(id_, calendar), queries)
        calendar.approve(id_, person=who().person)
        return visible(calendar.state(), queries)

    @operations.add(
        "POST",
        "/overrides/<id_>/cancellation",
        level=Level.OPERATOR,
        answer=CalendarState,
        body=CancelOverride,
    )
    def cancel(id_: str, body: CancelOverride) -> CalendarState:
        """Takes an override back."""
        may_at(Level.OPERATOR, site_of_override(id_, calendar), queries)
        calendar.cancel(id_, reason=body.reason, actor=who().actor)
        return visible(calendar.state(), queries)
