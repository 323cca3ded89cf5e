"""`cto window`: when disruptive work is allowed, and the switches that people hold: freeze and override."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from controller.cli import window_input
from controller.cli.base import (
    App,
    Noun,
    assume_yes,
    complete_sites,
    confirm,
    load_site_files,
    pass_app,
    site_files,
)
from controller.cli.base import command as verb
from controller.cli.output import document, human_seconds, plain
from controller.cli.text import clean
from inventory.calendar import SiteCalendar
from inventory.errors import OperatorError

_site = click.option("--site", default="", metavar="NAME", help="The site.", shell_complete=complete_sites)
_reason = click.option("--reason", required=True, help="Why; kept in the audit log.")


@verb(
    "preview",
    example="cto window preview --zone Europe/Berlin --days Sat,Sun --start 02:00 --end 05:00"
    " --from 2026-03-01 --until 2026-03-31\n"
    "cto window preview --site berlin -f site.yaml",
)
@_site
@site_files
@click.option("--zone", default="", metavar="ZONE", help="Without a site: an IANA zone.")
@click.option("--days", default="", metavar="DAYS", help="Days of the start: Sat,Sun. Default: every day.")
@click.option("--start", default="", metavar="HH:MM", help="Local start.")
@click.option("--end", default="", metavar="HH:MM", help="Local end; not after the start: the next day.")
@click.option("--duration", default="", metavar="TIME", help="Length instead of --end, such as 3h.")
@click.option("--from", "first", default="", metavar="DATE", help="First local start date. Default: today.")
@click.option("--until", "last", default="", metavar="DATE", help="Last one. Default: four weeks.")
@pass_app
def preview(
    app: App, /, site: str, files: tuple[Path, ...], zone: str, first: str, last: str, **written: str
) -> None:
    """Lay out when windows open, with what changes of the clocks and (with --site) blackouts do to them.

    Freezes, overrides and the delay by which sites begin one after another are left out.
    """
    from controller.cli import window_view
    from controller.core.calendar import preview as core
    from controller.core.calendar.zones import zone as load_zone

    if bool(site) == bool(zone):
        raise OperatorError(
            "name either a site or a window", fix="pass --site NAME, or --zone, --days, --start and --end"
        )
    if site and (given := [f"--{name}" for name, value in written.items() if value]):
        raise OperatorError(
            f"a site has its own windows: {', '.join(given)} makes no sense", fix="leave it out"
        )
    calendar = _site_calendar(app, files, site) if site else window_input.written_calendar(zone, **written)
    here = load_zone(calendar.timezone)
    start, end = window_input.dates(first, last, app.now().astimezone(here).date())
    entries = core.preview(calendar, start, end)
    if app.json:
        document([window_view.entry_dict(entry) for entry in entries])
        return
    if not entries:
        click.echo(f"Nothing opens from {start} to {end}.")
        return
    window_view.show_entries(entries, here, names=len(calendar.windows) > 1)
    window_view.show_picture(entries, here, start, end)
    if site:
        _tell_scarcity(calendar, app.now())


@verb("list", example="cto window list --site berlin")
@_site
@pass_app
def list_(app: App, site: str) -> None:
    """Show each site's windows, whether work is allowed now and when next, freezes and overrides."""
    from controller.cli.window_state import read_states, show_states

    with app.services() as services:
        states = read_states(services.queries, app.now(), synchronized=services.clock_synchronized())
    if site and site not in {each.calendar.site for each in states.sites}:
        known = ", ".join(each.calendar.site for each in states.sites) or "none; `cto apply` declares them"
        raise OperatorError(f"nothing is known of the windows of site {site!r}", fix=f"known: {known}")
    chosen = states.of(site) if site else states
    if app.json:
        document(chosen.to_dict())
        return
    show_states(chosen)


@verb("freeze", example='cto window freeze --reason "audit week" --until 2026-12-05T18:00:00Z')
@_site
@_reason
@click.option("--until", default="", metavar="INSTANT", help="Ends by itself, such as 2026-12-05T18:00:00Z.")
@pass_app
def freeze(app: App, site: str, reason: str, until: str) -> None:
    """Start nothing disruptive from now on, everywhere or at one site; what is under way is finished."""
    from controller.app.windows import freeze as order
    from inventory.moments import instant

    end = instant(until, "--until") if until else None
    with app.services() as services:
        made = order(services, reason=reason, actor=app.actor(), until=end, site=site)
    if app.json:
        document(plain(made))
        return
    end_text = f"until {until}" if until else "until `cto window unfreeze`"
    click.echo(f"frozen: {clean(site) or 'every site'}, {clean(end_text)}")
    click.echo("  → what is under way is finished; nothing new starts")


@verb("unfreeze", example='cto window unfreeze --reason "audit is over"')
@_site
@_reason
@pass_app
def unfreeze(app: App, site: str, reason: str) -> None:
    """Lift the freezes of everything (or, with --site, those of one site)."""
    from controller.app.windows import unfreeze as order

    with app.services() as services:
        lifted = order(services, reason=reason, actor=app.actor(), site=site)
        left = services.store.freezes()
    if app.json:
        document({"lifted": plain(lifted), "left": plain(left)})
        return
    click.echo(f"lifted: {len(lifted)}" if lifted else "nothing was frozen there; nothing is changed")
    for each in left:
        click.echo(f"  → still frozen: {clean(each.site) or 'every site'}: {clean(each.reason)}")


@verb("override", example='cto window override --site berlin --reason "disk of cp-2 is failing" --for 2h')
@click.option("--site", required=True, metavar="NAME", help="The site.", shell_complete=complete_sites)
@_reason
@click.option("--for", "length", default="1h", show_default=True, metavar="TIME", help="At most 4h.")
@assume_yes
@pass_app
def override(app: App, site: str, reason: str, length: str, yes: bool) -> None:
    """Open a window by hand. It takes effect after ten minutes, in which it can be cancelled.

    It lifts neither freezes nor hard blackouts, and no guard of a cluster's quorum.
    """
    from controller.app.second_person import eligible
    from controller.app.windows import request_override

    minutes = window_input.minutes(length)
    confirm(
        f"Allow disruptive work at {site} outside its windows for {human_seconds(minutes * 60)}?", yes=yes
    )
    length_of = timedelta(minutes=minutes)
    with app.services() as services:
        if app.server:
            made = services.store.request_override(site, reason=reason, length=length_of)
        else:
            people = eligible(services.queries.rows, services.queries.sites(), (site,))
            made = request_override(
                services, site=site, reason=reason, length=length_of, actor=app.actor(), people=people
            )
    if app.json:
        document(plain(made))
        return
    click.echo(
        f"override {made.id}: {clean(site)} is open from {_show(made.since)} until {_show(made.until)}"
    )
    click.echo(
        f"  → until then: cto window cancel {made.id} --reason …, or a second person: approve {made.id}"
    )


@verb("approve", example="cto window approve 5d1c0b2a9f8e7d6c")
@click.argument("id_", metavar="ID")
@pass_app
def approve(app: App, id_: str) -> None:
    """Agree, as a second person, to an override: it takes effect at once."""
    from controller.app.windows import approve_override

    with app.services() as services:
        made = approve_override(services, id_, actor=app.actor())
    if app.json:
        document(plain(made))
        return
    what = f"{clean(made.site)} is open until {_show(made.until)}" if made.site else "the clock is believed"
    click.echo(f"approved: {what}")


@verb("cancel", example='cto window cancel 5d1c0b2a9f8e7d6c --reason "not needed after all"')
@click.argument("id_", metavar="ID")
@_reason
@pass_app
def cancel(app: App, id_: str, reason: str) -> None:
    """Take an override back, before or while it is in effect; what is under way is finished."""
    from controller.app.windows import cancel_override

    with app.services() as services:
        gone = cancel_override(services, id_, actor=app.actor(), reason=reason)
    if app.json:
        document(plain(gone))
        return
    click.echo(
        f"cancelled: the override of {clean(gone.site)}" if gone.site else "cancelled: the clock's word"
    )


@verb("confirm-clock", example='cto window confirm-clock --reason "compared with my phone"')
@_reason
@assume_yes
@pass_app
def confirm_clock(app: App, reason: str, yes: bool) -> None:
    """Say that this computer's clock is right, after it was found set or far ahead: windows open again.

    Another person agrees, or ten minutes pass where nobody else could, in which the clock is not set again.
    """
    from controller.app.second_person import eligible
    from controller.app.windows import confirm_clock as order

    if app.server:
        raise OperatorError(
            "the clock that is meant is the controller's", fix="run this on the controller's own computer"
        )
    confirm(f"Is it {_show(app.now())} now?", yes=yes)
    with app.services() as services:
        sites = [site.name for site in services.queries.sites()]
        people = eligible(services.queries.rows, services.queries.sites(), sites)
        made = order(services, actor=app.actor(), reason=reason, people=people)
    if app.json:
        document(plain(made))
        return
    if made.agreed:
        click.echo(f"the clock is believed from {_show(made.since)} on, by the next look of an engine")
    else:
        click.echo("the clock is believed as soon as another person agrees")
    click.echo(
        f"  → until then: cto window cancel {made.id} --reason …, or a second person: approve {made.id}"
    )


def _site_calendar(app: App, files: Sequence[Path], site: str) -> SiteCalendar:
    """From the site files named or found here; else as `cto apply` took it over."""
    from controller.app.windows import site_calendars
    from inventory.findings import suggest

    found: tuple[SiteCalendar, ...]
    if files or app.environ.get("CTO_SITE") or Path("site.yaml").exists() or Path("fleet").exists():
        resolved = load_site_files(app, files)
        found = site_calendars(resolved.fleet, resolved.windows, resolved.blackouts)
    else:
        with app.services() as services:
            found = tuple(services.queries.calendars())
    for each in found:
        if each.site == site:
            return each
    known = [each.site for each in found]
    raise OperatorError(
        f"there is no site {site!r}", fix=suggest(site, known, "site") if known else "name one with -f FILE"
    )


def _show(instant: datetime) -> str:
    from controller.core.calendar.preview import utc

    return utc(instant)


def _tell_scarcity(calendar: SiteCalendar, now: datetime) -> None:
    from controller.cli.window_state import scarcity_text

    text = scarcity_text(calendar, now)
    if text:
        click.echo(f"{click.style('warning:', fg='yellow')} {clean(text)}", err=True)


window = Noun("window", help="Maintenance windows: preview, freeze, override.").add(
    preview, list_, freeze, unfreeze, override, approve, cancel, confirm_clock
)
