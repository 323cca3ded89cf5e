"""What windows, blackouts, freezes and the trust in our clock say to a rollout at this moment.

Asked inside the transaction that stores a decision, so that a freeze holds for every start after it. Decides
by the calendar only.
"""

from datetime import UTC, datetime, timedelta

from controller.app.services import Services
from controller.app.windows import circumstances
from controller.core.calendar.admission import admit, estimate
from controller.core.calendar.allowed import Circumstances, decide
from controller.core.calendar.trust import Reading
from controller.core.rollout.messages import Admission
from inventory.calendar import SiteCalendar


class StoreGates:
    """See `controller.core.rollout.messages.Gates`. Made for one decision."""

    def __init__(
        self, services: Services, *, reserve: int, durations: tuple[int, ...], last: Reading | None
    ) -> None:
        """`durations`: seconds that nodes took lately; `reserve`: kept free to undo one."""
        self._services, self._reserve, self._durations = services, reserve, durations
        self._last = last
        self._told: Circumstances | None = None
        self._calendars: dict[str, SiteCalendar] | None = None

    def frozen(self) -> str:
        for each in self._services.store.freezes():
            if not each.site:
                return f"frozen by {each.actor}: {each.reason}"
        return ""

    def admits(self, site: str, now: float, seconds: float) -> Admission:
        if self._calendars is None:
            self._calendars = {each.site: each for each in self._services.store.calendars()}
        if self._told is None:
            self._told = circumstances(self._services, self._last)
        calendar = self._calendars.get(site)
        if calendar is None:
            return Admission(
                False, f"nothing is known of the windows of site {site}: cto apply declares them"
            )
        at = datetime.fromtimestamp(now, UTC)
        decision = decide(calendar, at, self._told)
        opens = decision.next.start.timestamp() if decision.next else 0.0
        if not decision.open or decision.until is None:
            return Admission(False, "; ".join(decision.why) or "closed", opens=opens)
        wanted = estimate(self._durations, expected=int(seconds), reserve=self._reserve)
        found = admit(at, decision.until, wanted.needed)
        if not found.admitted:
            why = f"{_minutes(found.left)} are left, and one node may take {_minutes(found.needed)}"
            return Admission(False, why, opens=opens)
        return Admission(True, until=decision.until.timestamp())


def _minutes(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
