"""What windows, blackouts, freezes and the trust in our clock say to a rollout at this moment.

Asked inside the transaction that stores a decision, so that a freeze holds for every start after it. Decides
by the calendar only.
"""

from datetime import UTC, datetime, timedelta

from controller.app.services import Services
from controller.app.windows import circumstances
from controller.core.calendar.admission import admit, estimate
from controller.core.calendar.allowed import Circumstances, Decision, decide
from controller.core.calendar.trust import Reading
from controller.core.rollout.messages import Admission
from inventory.calendar import SiteCalendar

_SAME = timedelta(seconds=30)  # for which a calendar's word is taken again, if nothing else says otherwise


class Remembered:
    """What calendars said lately: a rollout asks at each decision, and a year of windows takes its time.

    Holds while the site's calendar, freezes, overrides and openings are the same and no window opens or ends.
    """

    def __init__(self) -> None:
        self._said: dict[str, tuple[SiteCalendar, Circumstances, datetime, Decision]] = {}

    def decide(self, calendar: SiteCalendar, at: datetime, told: Circumstances) -> Decision:
        known = self._said.get(calendar.site)
        if known is not None:
            same, since, decision = known[:2] == (calendar, told), known[2], known[3]
            opens = decision.next.start if decision.next is not None else None
            edge = decision.until if decision.open else opens
            if same and since <= at < since + _SAME and (edge is None or at < edge):
                return decision
        decision = decide(calendar, at, told)
        self._said[calendar.site] = calendar, told, at, decision
        return decision


class StoreGates:
    """See `controller.core.rollout.messages.Gates`. Made for one decision."""

    def __init__(
        self,
        services: Services,
        *,
        reserve: int,
        durations: tuple[int, ...],
        last: Reading | None,
        remembered: Remembered | None = None,
        withdrawn: str = "",
    ) -> None:
        """`durations`: seconds that nodes took lately; `reserve`: kept free to undo one; `withdrawn`: why
        what the rollout brings must not be installed any more.
        """
        self._withdrawn = withdrawn
        self._services, self._reserve, self._durations = services, reserve, durations
        self._last = last
        self._remembered = remembered or Remembered()
        self._told: Circumstances | None = None
        self._calendars: dict[str, SiteCalendar] | None = None

    def frozen(self) -> str:
        if self._withdrawn:
            return self._withdrawn
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
        decision = self._remembered.decide(calendar, at, self._told)
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
