"""Pending: machines that ask to join. Somebody compares six words with the machine's screen, and decides."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inventory.errors import OperatorError, UnknownName
from inventory.lifecycle import NodeState
from web import bulk, inviting, present
from web.access.grants import Level
from web.access.guard import need, who
from web.access.sites import may_at
from web.lists import Code, Column, Seen, export, listing
from web.orders_port import Enrolling, Inviting, WouldBe
from web.ports import EnrollmentView, Queries

PENDING = "pending"
_FREE = (NodeState.DECLARED, NodeState.RESET)
_MOST_NAMED = 100
WAITING_SHOWN, REFUSALS_SHOWN = 20, 50
COMPARED, REJECTED = "words compared", "rejected by the operator"
SAID = {
    "opened": "Enrolment is open; a controller that runs listens within a moment.",
    "closed": "Enrolment is closed. Who waits can still be let in.",
    "approved": "Approved: its host key is pinned, and `cto apply` installs it.",
    "rejected": "It is turned away.",
    "several-approve": "Approved: their host keys are pinned, and `cto apply` installs them.",
    "several-reject": "They are turned away.",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    enrollment: EnrollmentView
    would_be: WouldBe
    may_act: bool
    candidates: Sequence[str]  # nodes of its site and role that have no machine

    @property
    def words(self) -> Sequence[str]:
        """Without the label before them."""
        words = self.enrollment.words.split()
        return words[1:] if words[:1] == ["ENROLL"] else words


def make(
    enrolling: Enrolling, queries: Queries, clock: Callable[[], datetime], invites: Inviting | None = None
) -> Blueprint:
    """The blueprint, bound to what it reads and orders. With `invites` its page has `inviting`'s forms."""
    blueprint = Blueprint("pending", __name__, url_prefix="/pending")

    @blueprint.get("")
    @need(Level.VIEWER)
    def page() -> ResponseReturnValue:
        everybody = queries.enrollments()
        saved = export([*everybody], COLUMNS, "enrolments")
        offer = inviting.NOTHING if invites is None else inviting.offer(queries)
        return _page(everybody, enrolling, queries, clock(), offer) if saved is None else saved

    _one(blueprint, enrolling, queries)
    _several(blueprint, enrolling, queries)
    return blueprint


def _page(
    everybody: Sequence[EnrollmentView],
    enrolling: Enrolling,
    queries: Queries,
    now: datetime,
    offer: inviting.Offer,
) -> ResponseReturnValue:
    window = queries.enrollment_window()
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    asking = [each for each in everybody if each.state == PENDING]
    free = _free(queries) if asking else {}
    shown = asking[:WAITING_SHOWN]
    would_be = enrolling.would_be_all([each.id for each in shown]) if shown else {}
    waiting = [
        _waiting(each, would_be.get(each.id, WouldBe("", "it does not wait any more")), queries, free)
        for each in shown
    ]
    able = [each for each in waiting if each.may_act]
    return render_template(
        "pending.html",
        offer=offer,
        waiting=waiting,
        left=len(asking) - len(waiting),
        several=able if len(able) > 1 else [],
        reject_several=bulk.command("cto enroll reject", [each.enrollment.id for each in able]),
        window=window,
        window_open=window is not None and window.is_open(stamp),
        seconds_open=present.until(window.until, now) if window is not None else 0.0,
        refusals=queries.enrollment_refusals()[:REFUSALS_SHOWN],
        listing=listing(
            [each for each in everybody if each.state != PENDING], COLUMNS, command="cto enroll list"
        ),
        said=SAID.get(request.args.get("said", ""), ""),
    )


def _one(blueprint: Blueprint, enrolling: Enrolling, queries: Queries) -> None:
    @blueprint.post("/approve")
    @need(Level.OPERATOR)
    def approve() -> ResponseReturnValue:
        row = _decidable(_field("id"), queries)
        _must_be_compared()
        enrolling.approve(
            row.id,
            name=_field("name"),
            accept_conflict=_field("accept_conflict") == "yes",
            reason=COMPARED,
            actor=who().actor,
        )
        return redirect("/pending?said=approved", 303)

    @blueprint.post("/reject")
    @need(Level.OPERATOR)
    def reject() -> ResponseReturnValue:
        row = _decidable(_field("id"), queries)
        reason = _field("reason") or REJECTED
        enrolling.reject(row.id, reason=reason, again=_field("again") == "yes", actor=who().actor)
        return redirect("/pending?said=rejected", 303)


def _several(blueprint: Blueprint, enrolling: Enrolling, queries: Queries) -> None:
    """A tick beside a machine says that it is meant, one below that the words of all were compared. A machine
    in conflict, or one that nobody knows a node for, is decided by itself.
    """

    @blueprint.post("/several")
    @need(Level.OPERATOR)
    def several() -> ResponseReturnValue:
        chosen = bulk.ticked("id", "machine")
        for id_ in chosen:
            _decidable(id_, queries)
        actor, verb = who().actor, _field("verb")
        if verb == "approve":
            _must_be_compared()
            bulk.each(
                chosen,
                lambda id_: enrolling.approve(
                    id_, name="", accept_conflict=False, reason=COMPARED, actor=actor
                ),
            )
        elif verb == "reject":
            reason = _field("reason") or REJECTED
            bulk.each(chosen, lambda id_: enrolling.reject(id_, reason=reason, again=False, actor=actor))
        else:
            raise OperatorError(f"{verb[:20]!r} is no decision", fix="approve or reject")
        return redirect(f"/pending?said=several-{verb}", 303)


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


def _decidable(id_: str, queries: Queries) -> EnrollmentView:
    row = enrollment_of(id_, queries)
    may_at(Level.OPERATOR, row.site, queries)
    return row


def _must_be_compared() -> None:
    """The reason in the audit log says so, hence somebody has to have said it."""
    if _field("compared") != "yes":
        raise OperatorError(
            "nobody has compared the words", fix="look at each machine's screen, then tick the box"
        )


def _waiting(
    row: EnrollmentView, would_be: WouldBe, queries: Queries, free: Mapping[tuple[str, str], list[str]]
) -> Waiting:
    try:
        may_at(Level.OPERATOR, row.site, queries)
        able = True
    except OperatorError:
        able = False
    return Waiting(row, would_be, able, free.get((row.site, row.role), [])[:_MOST_NAMED])


def _free(queries: Queries) -> dict[tuple[str, str], list[str]]:
    """Nodes without a machine, by site and role."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in queries.nodes():
        if node.state in _FREE:
            found[node.site, node.role].append(node.name)
    return found


def _field(name: str) -> str:
    return request.form.get(name, "").strip()[:300]
