"""What the pages are made over, in one value: each port, and the clock. A port that is None has no page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from web.access.ports import Access
from web.calendar_port import Calendar
from web.orders_port import Enrolling, Inviting, RolloutOrders
from web.ports import Queries, Records
from web.updates_port import Updates
from web.upkeep_port import Upkeep


@dataclass(frozen=True, slots=True)
class Backend:
    queries: Queries
    records: Records
    access: Access
    clock: Callable[[], datetime]  # the time in UTC
    calendar: Calendar | None = None
    enrolling: Enrolling | None = None
    rollouts: RolloutOrders | None = None
    updates: Updates | None = None
    upkeep: Upkeep | None = None
    inviting: Inviting | None = None
