"""May what disturbs a cluster in use begin now? Asks the calendar of its site; does and repairs nothing.

Held to it are a control plane that joins, a node that leaves, a move of the endpoint, and a changed
configuration of a node that runs. Not held: what was begun (it is finished), what makes an even number of
members odd again, and what repairs (a dead member, a lost quorum). A site that declares no windows is open
but for blackouts and freezes: there, people choose the moment. Rollouts have gates of their own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.app.services import Services
from controller.app.windows import circumstances
from controller.core.calendar.admission import admit, estimate
from controller.core.calendar.allowed import Circumstances, Decision, decide
from controller.core.calendar.blackouts import blackout_spans
from controller.core.calendar.preview import utc
from controller.core.calendar.spans import Span
from controller.core.calendar.zones import UnknownZoneError, zone
from inventory.calendar import Freeze, SiteCalendar
from inventory.errors import RefusedError

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Closed:
    """`why` in words, and what a person can do."""

    why: str
    fix: str


def refuse_closed(services: Services, cluster: str, seconds: float, *, where: str = "") -> None:
    """Raises RefusedError unless something of so many seconds may begin at the cluster's site."""
    found = closed(services, cluster, seconds)
    if found is not None:
        raise RefusedError(found.why, where=where or cluster, fix=found.fix)


def refuse_frozen(services: Services, cluster: str, *, where: str = "") -> None:
    """As `refuse_closed`, for what no window holds."""
    row = services.store.cluster(cluster)
    freeze = _frozen(row.site, services.store.freezes(), services.clock.now()) if row else None
    if freeze is not None:
        found = _thawed(freeze)
        raise RefusedError(found.why, where=where or cluster, fix=found.fix)


def closed(services: Services, cluster: str, seconds: float) -> Closed | None:
    """Why nothing that takes so long may begin at the cluster's site; None if it may."""
    row = services.store.cluster(cluster)
    calendar = next((c for c in services.store.calendars() if row and c.site == row.site), None)
    if row is None:
        return None
    told, now = circumstances(services), services.clock.now()
    freeze = _frozen(row.site, told.freezes, now)
    if freeze is not None:
        return _thawed(freeze)
    if calendar is None:
        return None
    return _by_windows(calendar, told, now, seconds) if calendar.windows else _by_blackouts(calendar, now)


def _frozen(site: str, freezes: tuple[Freeze, ...], now: datetime) -> Freeze | None:
    return next((freeze for freeze in freezes if freeze.holds(site, now)), None)


def _thawed(freeze: Freeze) -> Closed:
    at = f" --site {freeze.site}" if freeze.site else ""
    fix = f"let it end, or lift it: cto window unfreeze{at} --reason …; then run the command again"
    return Closed(freeze.why, fix)


def _by_windows(calendar: SiteCalendar, told: Circumstances, now: datetime, seconds: float) -> Closed | None:
    decision = decide(calendar, now, told)
    if not decision.open or decision.until is None:
        return Closed(
            f"site {calendar.site} is closed: {'; '.join(decision.why)}", _later(calendar, decision)
        )
    needed = estimate((), expected=int(seconds), reserve=0).needed
    found = admit(now, decision.until, needed)
    if found.admitted:
        return None
    why = f"its window has {_minutes(found.left)} left, and this may take {_minutes(found.needed)}"
    return Closed(f"site {calendar.site}: {why}", _later(calendar, decision))


def _by_blackouts(calendar: SiteCalendar, now: datetime) -> Closed | None:
    try:
        here = zone(calendar.timezone)
    except UnknownZoneError as error:
        return Closed(f"site {calendar.site} is closed: {error.what}", error.fix)
    moment = Span(now, now + _MOMENT)
    for each in calendar.blackouts:
        if any(now in span for span in blackout_spans(each, here, moment)):
            why = f"site {calendar.site} is closed: blackout {each.name}: {each.reason}"
            return Closed(why, "run the command again when it is over")
    return None


def _later(calendar: SiteCalendar, decision: Decision) -> str:
    when = f"from {utc(decision.next.start)} on" if decision.next else "in a window"
    override = f"cto window override --site {calendar.site} --reason …"
    return f"run the command again {when}; if it can't wait: {override}"


def _minutes(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
