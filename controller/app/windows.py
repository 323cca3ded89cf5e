"""Use cases of the maintenance calendar: may we act now, freeze, override, and the engine's regular look.

Joins what the store keeps with what the pure calendar decides. Starts and stops no work itself.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from controller.app.services import Services
from controller.core.calendar import notices, overrides
from controller.core.calendar.allowed import Circumstances, Decision, decide, site_occurrences
from controller.core.calendar.occurrences import Occurrence
from controller.core.calendar.preview import utc
from controller.core.calendar.spans import Span
from controller.core.calendar.trust import Reading, TimeState, Verdict, confirm, judge, stepped
from controller.core.calendar.zones import UnknownZoneError, database_version
from inventory.calendar import Blackout, Freeze, MaintenanceWindow, Opened, Override, SiteCalendar
from inventory.errors import BusyError, OperatorError
from inventory.fleet import Fleet

_RECENT = timedelta(days=3)  # an occurrence that ended longer ago can't be open again
_KEEP_EVERY = timedelta(minutes=1)
EVERY = 20.0  # seconds between ticks
CLOCK = ""  # what a word about the clock has in place of a site


def site_calendars(
    fleet: Fleet, windows: Iterable[MaintenanceWindow], blackouts: Iterable[Blackout]
) -> tuple[SiteCalendar, ...]:
    """What the site files say, by site."""
    every, black = tuple(windows), tuple(blackouts)
    return tuple(
        SiteCalendar(
            site.name,
            site.timezone,
            tuple(replace(each, sites=(site.name,)) for each in every if site.name in each.sites),
            tuple(replace(each, sites=(site.name,)) for each in black if site.name in each.sites),
        )
        for site in fleet.sites.values()
    )


def declare_calendars(services: Services, calendars: Iterable[SiteCalendar], *, actor: str) -> None:
    """Takes over what the site files say. What is open by the rules so far is noted first, since an edit may
    close an open window and never prolongs or repeats it.
    """
    wanted, known = tuple(calendars), services.store.calendars()
    if known and set(wanted) - set(known):
        tick(services)
    services.store.declare_calendars(wanted, actor=actor)


def read_clock(services: Services) -> Reading:
    return Reading(services.clock.now(), services.clock.monotonic())


def judge_time(services: Services, last: Reading | None = None) -> Verdict:
    """Is our clock to be believed? Keeps nothing."""
    floor, untrusted = services.store.time_state()
    state = TimeState(datetime.fromisoformat(floor) if floor else None, untrusted)
    return judge(state, read_clock(services), last, synchronized=services.clock_synchronized())


def circumstances(services: Services, last: Reading | None = None) -> Circumstances:
    """What counts at this moment beside the site files."""
    store, now = services.store, services.clock.now()
    return Circumstances(
        freezes=store.freezes(),
        overrides=store.overrides(),
        opened=store.opened(now - _RECENT),
        untrusted=judge_time(services, last).state.untrusted,
    )


def calendar_of(services: Services, site: str) -> SiteCalendar:
    found = next((each for each in services.store.calendars() if each.site == site), None)
    if found is None:
        raise OperatorError(
            f"nothing is known of the windows of site {site!r}",
            fix="declare it: `cto apply -f FILE` takes over what the site files say",
        )
    return found


def site_decision(services: Services, site: str, last: Reading | None = None) -> Decision:
    """May something disruptive start or run at `site` now, until when, and why not?"""
    return decide(calendar_of(services, site), services.clock.now(), circumstances(services, last))


# --- what operators order


def freeze(
    services: Services, *, reason: str, actor: str, until: datetime | None = None, site: str = ""
) -> Freeze:
    now = services.clock.now()
    if until is not None and until <= now:
        raise OperatorError("the freeze would be over before it begins", fix="give --until a later time")
    if site:
        calendar_of(services, site)
    made = Freeze(services.new_id(), overrides.checked_reason(reason), actor, now, until, site)
    services.store.freeze(made)
    return made


def unfreeze(services: Services, *, reason: str, actor: str, site: str = "") -> tuple[Freeze, ...]:
    return services.store.unfreeze(site, actor=actor, reason=overrides.checked_reason(reason))


def request_override(
    services: Services, *, site: str, reason: str, length: timedelta, actor: str, people: int = 1
) -> Override:
    """`people`: how many accounts could agree to it, the asking one included."""
    calendar_of(services, site)
    made = overrides.request(
        services.new_id(),
        site,
        reason=reason,
        length=length,
        actor=actor,
        now=services.clock.now(),
        people=people,
    )
    services.store.put_override(made, actor=actor, action="request")
    return made


def approve_override(services: Services, id_: str, *, actor: str) -> Override:
    made = overrides.approve(services.store.override(id_), actor=actor, now=services.clock.now())
    services.store.put_override(made, actor=actor, action="approve")
    if made.site == CLOCK:
        _believe(services, made)
    return made


def cancel_override(services: Services, id_: str, *, actor: str, reason: str) -> Override:
    found = services.store.override(id_)
    services.store.cancel_override(found, actor=actor, reason=overrides.checked_reason(reason))
    return found


def confirm_clock(services: Services, *, actor: str, reason: str, people: int = 1) -> Override:
    """An operator's word that this computer's clock is right. It opens every site again, and so takes two
    people, or ten minutes in which it can be taken back. The engine's look makes it count.
    """
    made = overrides.request(
        services.new_id(),
        CLOCK,
        reason=reason,
        length=overrides.LONGEST,
        actor=actor,
        now=services.clock.now(),
        people=people,
    )
    services.store.put_override(made, actor=actor, action="request")
    return made


def _believe(services: Services, word: Override) -> None:
    """The floor follows the clock from here on, also backwards. The word is used up."""
    floor = confirm(read_clock(services)).floor or services.clock.now()
    services.store.confirm_time(floor, actor=word.approved_by or word.actor, reason=word.reason)
    services.store.cancel_override(word, actor=word.actor, reason="it has done what it was for")


def _heed(services: Services, last: Reading | None) -> None:
    """A word about the clock counts when it is time, unless the clock was set again meanwhile."""
    word = next((each for each in services.store.overrides() if each.site == CLOCK), None)
    if word is None:
        return
    reading = read_clock(services)
    again = stepped(reading, last)
    if again:
        services.store.cancel_override(word, actor="engine", reason=f"{again} since it was said")
    elif word.agreed and word.since <= reading.wall:
        _believe(services, word)


# --- what the engine does every 15 to 30 seconds


async def keep_calendar(services: Services, *, every: float = EVERY) -> None:
    """Ticks for ever. While another program has the store locked, a tick is left out."""
    last: Reading | None = None
    while True:
        try:
            last = tick(services, last)
        except BusyError:
            last = last or read_clock(services)
        await services.clock.sleep(every)


def tick(services: Services, last: Reading | None = None) -> Reading:
    """Keeps the time floor and notes which windows are open and which passed. Returns the reading that the
    next tick takes as its `last`; the first one of a process has none.
    """
    _heed(services, last)
    store, reading = services.store, read_clock(services)
    kept, untrusted = store.time_state()
    verdict = judge_time(services, last)
    floor = verdict.state.floor or verdict.now
    before = datetime.fromisoformat(kept) if kept else floor
    if verdict.state.untrusted != untrusted or floor - before >= _KEEP_EVERY or not kept:
        store.keep_time(floor, verdict.state.untrusted)
    if verdict.trusted:
        told = circumstances(services, last)
        earlier = store.opened(before - _RECENT) if last is None else ()
        for calendar in store.calendars():
            try:
                if last is None:
                    _note_missed(services, calendar, before, earlier)
                    _note_moved(services, calendar)
                _note_open(services, calendar, told)
            except UnknownZoneError as error:
                if last is None:
                    store.event("ZoneUnknown", f"site/{calendar.site}", f"closed: {error.what}; {error.fix}")
    return reading


def _note_missed(
    services: Services, calendar: SiteCalendar, since: datetime, earlier: tuple[Opened, ...]
) -> None:
    passed = notices.missed(calendar, since, services.clock.now(), earlier)
    if passed:
        services.store.note_missed(calendar.site, [_opened(calendar.site, each) for each in passed])


def _note_moved(services: Services, calendar: SiteCalendar) -> None:
    """Zone rules change between two starts of a program, with its package."""
    now, version = services.clock.now(), database_version()
    known, openings = services.store.foreseen(calendar.site)
    changed = notices.moved(openings, calendar, now) if known not in ("", version) else ()
    sentences = [
        f"{new.window} of {new.day} opens at {utc(new.start)} and not at {utc(old.start)}, "
        f"closes at {utc(new.end)}: new zone rules, tzdata {version}"
        for old, new in changed
    ]
    services.store.keep_foreseen(calendar.site, version, notices.foreseen(calendar, now), sentences)


def _note_open(services: Services, calendar: SiteCalendar, told: Circumstances) -> None:
    now = services.clock.now()
    current = [_opened(calendar.site, each) for each in notices.open_now(calendar, now, told)]
    known = set(told.opened)
    changed = [each for each in current if each not in known]
    services.store.note_opened(changed, tuple(_closed_early(calendar, now, told)))


def _closed_early(calendar: SiteCalendar, now: datetime, told: Circumstances) -> Iterable[Opened]:
    """Occurrences that were open and that an edit has ended meanwhile: they must not open again."""
    moment = Span(now, now + timedelta(microseconds=1))
    current = {each.key for each in site_occurrences(calendar, moment)}
    for seen in told.opened:
        if seen.site == calendar.site and now < seen.end and (seen.window, seen.day) not in current:
            yield replace(seen, end=now)


def _opened(site: str, occurrence: Occurrence) -> Opened:
    return Opened(site, occurrence.window, occurrence.day, occurrence.start, occurrence.end)
