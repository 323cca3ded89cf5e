"""The first page: what needs somebody, what happens now, the next windows, and how each site is. Reads only.

A small fleet is shown whole, with a picture of each cluster; of a large one each site is a line.
"""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from web import fleet, rollouts
from web.access.grants import Level
from web.access.guard import need
from web.calendar_port import Calendar, SiteWindows
from web.calendar_rules import visible
from web.ports import Queries

EVENTS_SHOWN, NEEDS_SHOWN, RUNNING_SHOWN, WINDOWS_SHOWN = 20, 50, 30, 6
DRAWN_CLUSTERS, DRAWN_NODES = 8, 60  # as many as fit in one glance


def make(queries: Queries, calendar: Calendar | None, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads."""
    blueprint = Blueprint("overview", __name__)

    @blueprint.get("/")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        found = fleet.gather(queries, clock())
        recent = fleet.latest_events(queries, EVENTS_SHOWN)
        under_way = [each for each in queries.rollouts() if not each.over]
        return render_template(
            "overview.html",
            fleet=found,
            needs=sorted(found.needs, key=lambda need: need.tone != "bad"),
            rollouts=[(each, rollouts.badge(each)) for each in under_way],
            windows=_windows(calendar, queries),
            drawn=found.cluster_count <= DRAWN_CLUSTERS and found.nodes <= DRAWN_NODES,
            needs_shown=NEEDS_SHOWN,
            running_shown=RUNNING_SHOWN,
            events=list(reversed(recent)),
        )

    return blueprint


def _windows(calendar: Calendar | None, queries: Queries) -> list[SiteWindows]:
    """Those that are open, then those that open next."""
    if calendar is None:
        return []
    sites = visible(calendar.state(), queries).sites
    coming = [each for each in sites if each.open or each.next_start]
    return sorted(coming, key=lambda each: (not each.open, each.next_start))[:WINDOWS_SHOWN]
