"""The maintenance calendar for pages and API: `web.calendar_port.Calendar` over the store and the pure core.

Reads through read-only connections and orders through the writing thread. Decides nothing itself.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

from controller.app import windows
from controller.app.second_person import eligible
from controller.app.site_decisions import Decided, SiteDecisions
from controller.app.writing import Writing
from controller.core.calendar import preview as core
from controller.core.calendar.allowed import Circumstances
from controller.core.calendar.instants import wall
from controller.core.calendar.preview import utc
from controller.core.calendar.spans import Span
from controller.core.calendar.trust import Reading, TimeState, judge
from controller.core.calendar.zones import UnknownZoneError, zone
from controller.store.base import iso
from controller.store.queries import StoreQueries
from inventory.calendar import Freeze, Override, SiteCalendar
from inventory.errors import OperatorError, UnknownName
from inventory.moments import instant
from web.calendar_port import CalendarState, FreezeView, OverrideView, SiteWindows, WindowEntry

_RECENT = timedelta(days=3)


class CalendarDesk:
    def __init__(
        self,
        queries: StoreQueries,
        writing: Writing,
        *,
        now: Callable[[], datetime],
        synchronized: Callable[[], bool],
    ) -> None:
        self._queries, self._writing = queries, writing
        self._now, self._synchronized = now, synchronized
        self._decisions = SiteDecisions()

    def state(self, zone: str = "") -> CalendarState:
        here = _zone(zone) if zone else None
        now, calendars = self._now(), self._queries.calendars()
        told = self._circumstances(now)
        return CalendarState(
            sites=[
                _site(each, decided, now, here)
                for each, decided in zip(calendars, self._decisions.of(calendars, now, told), strict=True)
            ],
            freezes=[_freeze_view(each) for each in told.freezes],
            overrides=[_override_view(each) for each in told.overrides],
            untrusted=told.untrusted,
        )

    def entries(self, site: str, first: date, last: date, zone: str = "") -> Sequence[WindowEntry]:
        calendar = self._queries.calendar(site)
        if calendar is None:
            raise UnknownName(
                f"nothing is known of the windows of site {site!r}", fix="`cto apply` takes them over"
            )
        if not core.FIRST <= first <= last <= core.LAST:
            raise OperatorError("rules of time zones say nothing of that date", fix="ask for a nearer one")
        here = _zone(zone or calendar.timezone)
        return [_entry(site, each, here) for each in core.preview(calendar, first, last)]

    def freeze(self, *, site: str, reason: str, until: str, actor: str) -> None:
        end = instant(until, "until") if until else None
        self._writing.run(lambda s: windows.freeze(s, reason=reason, actor=actor, until=end, site=site))

    def unfreeze(self, *, site: str, reason: str, actor: str) -> None:
        self._writing.run(lambda s: windows.unfreeze(s, reason=reason, actor=actor, site=site))

    def override(self, *, site: str, reason: str, length: timedelta, person: str) -> OverrideView:
        made = self._writing.run(
            lambda s: windows.request_override(
                s, site=site, reason=reason, length=length, actor=person, people=self._people(site)
            )
        )
        return _override_view(made)

    def approve(self, id_: str, *, person: str) -> None:
        self._writing.run(lambda s: windows.approve_override(s, id_, actor=person))

    def cancel(self, id_: str, *, reason: str, actor: str) -> None:
        self._writing.run(lambda s: windows.cancel_override(s, id_, actor=actor, reason=reason))

    def _people(self, site: str) -> int:
        return eligible(self._queries.rows, self._queries.sites(), (site,))

    def _circumstances(self, now: datetime) -> Circumstances:
        floor, untrusted = self._queries.time_state()
        state = TimeState(datetime.fromisoformat(floor) if floor else None, untrusted)
        verdict = judge(state, Reading(now, 0), synchronized=self._synchronized())
        return Circumstances(
            freezes=tuple(self._queries.freezes(iso(now))),
            overrides=tuple(self._queries.overrides(iso(now))),
            opened=tuple(self._queries.opened(iso(now - _RECENT))),
            untrusted=verdict.state.untrusted,
        )


def _site(calendar: SiteCalendar, decided: Decided, now: datetime, here: tzinfo | None) -> SiteWindows:
    decision, alarm = decided.decision, decided.skipped
    try:
        clock = here or zone(calendar.timezone)
    except UnknownZoneError:
        alarm, clock = True, here or UTC
    return SiteWindows(
        site=calendar.site,
        timezone=calendar.timezone,
        windows=tuple(window.name for window in calendar.windows),
        open=decision.open,
        until=utc(decision.until) if decision.until else "",
        next_start=utc(decision.next.start) if decision.next else "",
        next_end=utc(decision.next.end) if decision.next else "",
        why=tuple(decision.why),
        alarm=decision.alarm or alarm,
        until_local=_on_clock(decision.until, clock, now) if decision.until else "",
        next_local=_stretch(decision.next, clock) if decision.next else "",
    )


def _on_clock(at: datetime, clock: tzinfo, now: datetime) -> str:
    """Its day is named unless it is today's."""
    shown = at.astimezone(clock)
    return (
        f"{shown:%H:%M %Z}" if shown.date() == now.astimezone(clock).date() else f"{shown:%a %d %b %H:%M %Z}"
    )


def _stretch(span: Span, clock: tzinfo) -> str:
    """Names of zones are shown at both ends where the clocks change in between."""
    start, end = span.start.astimezone(clock), span.end.astimezone(clock)
    changed = f" {start:%Z}" if start.utcoffset() != end.utcoffset() else ""
    day = "" if start.date() == end.date() else f"{end:%a} "
    return f"{start:%a %d %b %H:%M}{changed}-{day}{end:%H:%M %Z}"


def _entry(site: str, entry: core.Entry, here: tzinfo) -> WindowEntry:
    span = entry.span
    local = f"{wall(span.start, here):%H:%M}-{wall(span.end, here):%H:%M}" if span else ""
    if span and wall(span.start, here).date() != entry.day:
        local = f"{wall(span.start, here):%a} {local}"  # on another wall it may be another day
    return WindowEntry(
        site=site,
        window=entry.window,
        day=entry.day.isoformat(),
        status=str(entry.status),
        local=local,
        start=utc(span.start) if span else "",
        end=utc(span.end) if span else "",
        minutes=entry.minutes,
        nominal=entry.nominal_minutes,
        why="; ".join(entry.why),
    )


def _freeze_view(freeze: Freeze) -> FreezeView:
    until = utc(freeze.until) if freeze.until else ""
    return FreezeView(freeze.id, freeze.site, freeze.reason, freeze.actor, utc(freeze.since), until)


def _override_view(override: Override) -> OverrideView:
    return OverrideView(
        override.id,
        override.site,
        override.reason,
        override.actor,
        utc(override.since),
        utc(override.until),
        override.agreed,
        override.approved_by,
    )


def _zone(name: str) -> tzinfo:
    try:
        return zone(name)
    except UnknownZoneError as error:
        raise OperatorError(error.what, fix="write an IANA zone, such as Europe/Berlin or UTC") from None
