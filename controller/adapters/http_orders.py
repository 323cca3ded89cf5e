"""The few orders of the store that go over another controller's API: rollouts, freezes, overrides, machines
that ask to join.

The server knows by the token who orders; an `actor` that is handed in is not sent. Whatever else a command
asks the store for is refused by name.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from controller.adapters.http_queries import ALL, HttpQueries
from inventory.calendar import Freeze, Override, SiteCalendar
from inventory.errors import OperatorError, UnknownName
from web.ports import EnrollmentView, RolloutView

_ELSEWHERE = OperatorError(
    "this command works on the controller's own computer only",
    fix="log in there, or use the pages or the API; see the guide to the pages for what --server can do",
)


class HttpOrders:
    def __init__(self, queries: HttpQueries) -> None:
        self._queries = queries

    def __getattr__(self, name: str) -> Any:
        raise _ELSEWHERE

    # --- rollouts

    def rollout(self, rollout: str) -> RolloutView:
        return self._queries.rollout(rollout)

    def open_rollouts(self) -> tuple[RolloutView, ...]:
        return tuple(each for each in self._queries.rollouts(ALL) if not each.over)

    def order_rollout(
        self, rollout: str, verb: str, *, actor: str, reason: str, cluster: str = "", wave: int = -1
    ) -> str:
        del actor
        body = {"verb": verb, "reason": reason, "cluster": cluster, "wave": wave + 1}
        return str(self._queries.ask("POST", f"/rollouts/{_quoted(rollout)}/orders", body)["id"])

    # --- the calendar's switches

    def calendars(self) -> tuple[SiteCalendar, ...]:
        """Names and zones only: that these sites have calendars."""
        return tuple(SiteCalendar(each["site"], each["timezone"]) for each in self._state()["sites"])

    def freeze(self, freeze: Freeze) -> None:
        until = freeze.until.isoformat() if freeze.until else ""
        self._queries.ask("POST", "/freezes", {"site": freeze.site, "reason": freeze.reason, "until": until})

    def unfreeze(self, site: str, *, actor: str, reason: str) -> tuple[Freeze, ...]:
        del actor
        lifted = tuple(each for each in self.freezes() if each.site == site)
        self._queries.ask("POST", "/freezes/lift", {"site": site, "reason": reason})
        return lifted

    def freezes(self) -> tuple[Freeze, ...]:
        return tuple(
            Freeze(
                each["id"],
                each["reason"],
                each["actor"],
                datetime.fromisoformat(each["since"]),
                datetime.fromisoformat(each["until"]) if each["until"] else None,
                each["site"],
            )
            for each in self._state()["freezes"]
        )

    def override(self, id_: str) -> Override:
        for each in self._state()["overrides"]:
            if each["id"] == id_:
                return _override(each)
        raise UnknownName(f"there is no override {id_!r}", fix="see `cto window list`")

    def request_override(self, site: str, *, reason: str, length: timedelta) -> Override:
        """It gets its number and its times from the server."""
        body = {"site": site, "reason": reason, "minutes": int(length.total_seconds() // 60)}
        return _override(self._queries.ask("POST", "/overrides", body))

    def put_override(self, override: Override, *, actor: str, action: str) -> None:
        del actor
        if action != "approve":
            raise _ELSEWHERE
        self._queries.ask("POST", f"/overrides/{_quoted(override.id)}/approval")

    def cancel_override(self, override: Override, *, actor: str, reason: str) -> None:
        del actor
        self._queries.ask("POST", f"/overrides/{_quoted(override.id)}/cancellation", {"reason": reason})

    # --- machines that ask to join

    def enrollments(self) -> Sequence[EnrollmentView]:
        return self._queries.enrollments()

    def admit(self, enrollment: str, *, words: str, name: str, accept_conflict: bool) -> str:
        """The node that it is from now on. The server compares the words, too."""
        body = {"words": words, "name": name, "accept_conflict": accept_conflict}
        return str(self._queries.ask("POST", f"/enrollments/{_quoted(enrollment)}/approval", body)["node"])

    def reject_enrollment(self, enrollment: str, *, actor: str, reason: str, again: bool) -> EnrollmentView:
        del actor
        body = {"reason": reason, "again": again}
        self._queries.ask("POST", f"/enrollments/{_quoted(enrollment)}/rejection", body)
        return next(each for each in self.enrollments() if each.id == enrollment)

    def _state(self) -> Any:
        return self._queries.ask("GET", "/calendar")


def _override(told: Mapping[str, Any]) -> Override:
    return Override(
        told["id"],
        told["site"],
        told["reason"],
        told["actor"],
        datetime.fromisoformat(told["since"]),
        datetime.fromisoformat(told["until"]),
        second=not told["agreed"] or bool(told["approved_by"]),
        approved_by=told["approved_by"],
    )


def _quoted(name: str) -> str:
    return quote(name, safe="")
