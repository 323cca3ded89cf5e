"""Pending: machines that ask to join. Somebody compares six words with the machine's screen, and decides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError, UnknownName
from inventory.lifecycle import NodeState
from web import present
from web.access.grants import Level
from web.access.guard import need, who
from web.access.sites import may_at
from web.lists import Code, Column, Seen, export, listing
from web.orders_port import Enrolling, WouldBe
from web.ports import EnrollmentView, Queries

PENDING = "pending"
_FREE = (NodeState.DECLARED, NodeState.RESET)
_MOST_NAMED = 100
SAID = {
    "approved": "Approved: its host key is pinned, and `cto apply` installs it.",
    "rejected": "It is turned away.",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    enrollment: EnrollmentView
    would_be: WouldBe
    may_act: bool
    candidates: Sequence[str]  # nodes of its site and role that have no machine


def make(enrolling: Enrolling, queries: Queries, clock: Callable[[], datetime]) -> Blueprint:
    """The blueprint, bound to what it reads and orders."""
    blueprint = Blueprint("pending", __name__, url_prefix="/pending")

    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        decided = [each for each in queries.enrollments() if each.state != PENDING]
        saved = export([*queries.enrollments()], COLUMNS, "enrolments")
        if saved is not None:
            return saved
        window = queries.enrollment_window()
        now = clock()
        stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return render_template(
            "pending.html",
            waiting=[_waiting(each, enrolling, queries) for each in queries.enrollments((PENDING,))],
            window=window,
            window_open=window is not None and window.is_open(stamp),
            seconds_open=_seconds_until(window.until, now) if window is not None else 0.0,
            refusals=queries.enrollment_refusals(),
            listing=listing(decided, COLUMNS, command="cto enroll list"),
            said=SAID.get(request.args.get("said", ""), ""),
        )

    @blueprint.post("/approve")
    @need(Level.OPERATOR)
    def approve() -> ResponseReturnValue:
        row = enrollment_of(_field("id"), queries)
        may_at(Level.OPERATOR, row.site, queries)
        if _field("compared") != "yes":
            raise OperatorError(
                "nobody has compared the words", fix="look at the machine's screen, then tick the box"
            )
        enrolling.approve(
            row.id,
            name=_field("name"),
            accept_conflict=_field("accept_conflict") == "yes",
            reason="words compared",
            actor=who().actor,
        )
        return redirect("/pending?said=approved", 303)

    @blueprint.post("/reject")
    @need(Level.OPERATOR)
    def reject() -> ResponseReturnValue:
        row = enrollment_of(_field("id"), queries)
        may_at(Level.OPERATOR, row.site, queries)
        reason = _field("reason") or "rejected by the operator"
        enrolling.reject(row.id, reason=reason, again=_field("again") == "yes", actor=who().actor)
        return redirect("/pending?said=rejected", 303)

    return blueprint


COLUMNS: list[Column[EnrollmentView]] = [
    Column("id", "Enrolment", lambda e: Code(e.id)),
    Column("state", "State", lambda e: e.state, True),
    Column("site", "Site", lambda e: e.site, True),
    Column("role", "Role", lambda e: e.role, True),
    Column("node", "Node", lambda e: e.node),
    Column("address", "Address", lambda e: Code(e.address)),
    Column("seen", "Asked", lambda e: Seen(e.seen_at)),
    Column("by", "Decided by", lambda e: e.decided_by),
    Column("reason", "Why", lambda e: e.reason),
]


def enrollment_of(id_: str, queries: Queries) -> EnrollmentView:
    """One that the visitor may see."""
    for each in queries.enrollments():
        if each.id == id_:
            return each
    raise UnknownName(f"there is no enrolment {id_[:40]!r}", fix="see the list of machines that wait")


def _waiting(row: EnrollmentView, enrolling: Enrolling, queries: Queries) -> Waiting:
    try:
        may_at(Level.OPERATOR, row.site, queries)
        able = True
    except OperatorError:
        able = False
    free = [
        node.name
        for node in queries.nodes()
        if (node.site, node.role) == (row.site, row.role) and node.state in _FREE
    ]
    return Waiting(row, enrolling.would_be(row.id), able, free[:_MOST_NAMED])


def _seconds_until(at: str, now: datetime) -> float:
    end = present.parse_time(at)
    return 0.0 if end is None else max(timedelta(), end - now).total_seconds()


def _field(name: str) -> str:
    return request.form.get(name, "").strip()[:300]
