"""Operations on enrolments and rollouts."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from web.access.grants import Level
from web.access.guard import who
from web.access.sites import may_at
from web.api.operations import Operations, Strict
from web.api.paging import Page, PageParams, cut, in_order
from web.orders_port import Enrolling, RolloutOrders
from web.pending import enrollment_of
from web.ports import EnrollmentView, Queries, RolloutView
from web.rollout_orders import must_order, order_of

Reason = Annotated[str, StringConstraints(min_length=3, max_length=300)]
Name = Annotated[str, StringConstraints(max_length=256)]


class Approval(Strict):
    words: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="The six words on the machine's own screen."
    )
    name: Name = Field(default="", description="Which node it becomes; empty: as its hardware says.")
    accept_conflict: bool = False


class Rejection(Strict):
    reason: Reason
    again: bool = Field(default=False, description="Its token may be used once more.")


class EnrollmentParams(PageParams):
    state: Literal["", "pending", "approved", "rejected", "expired", "forgotten"] = ""


class NodeOut(BaseModel):
    node: str


class Order(Strict):
    verb: Literal["pause", "resume", "abort", "cancel", "approve", "withdraw"]
    reason: Reason
    cluster: Name = Field(default="", description="For cancel.")
    wave: int = Field(
        default=0, ge=0, le=100_000, description="For approve and withdraw, from 1; 0: the one that waits."
    )


def add_enrollments(operations: Operations, enrolling: Enrolling, queries: Queries) -> None:
    """Adds those on machines that ask to join."""
    _list_enrollments(operations, queries)

    @operations.add(
        "POST", "/enrollments/<id_>/approval", level=Level.OPERATOR, answer=NodeOut, body=Approval
    )
    def approve_enrollment(id_: str, body: Approval) -> Any:
        """Lets a machine in, whose words somebody has compared: its host key is pinned."""
        from inventory.errors import RefusedError
        from inventory.words import same_words

        row = enrollment_of(id_, queries)
        may_at(Level.OPERATOR, row.site, queries)
        if not same_words(body.words, row.words):
            raise RefusedError(
                "these are not the words of this enrolment",
                fix="if they are what its screen shows, it is another machine: do not go on",
            )
        node = enrolling.approve(
            row.id,
            name=body.name,
            accept_conflict=body.accept_conflict,
            reason="words compared",
            actor=who().actor,
        )
        return {"node": node}

    @operations.add(
        "POST", "/enrollments/<id_>/rejection", level=Level.OPERATOR, answer=EnrollmentView, body=Rejection
    )
    def reject_enrollment(id_: str, body: Rejection) -> Any:
        """Turns a machine away."""
        row = enrollment_of(id_, queries)
        may_at(Level.OPERATOR, row.site, queries)
        enrolling.reject(row.id, reason=body.reason, again=body.again, actor=who().actor)
        return enrollment_of(id_, queries)


def _list_enrollments(operations: Operations, queries: Queries) -> None:
    page = Page[EnrollmentView]

    @operations.add("GET", "/enrollments", level=Level.VIEWER, answer=page, params=EnrollmentParams)
    def list_enrollments(params: EnrollmentParams) -> Any:
        """Machines that asked to join, the youngest first; of one state if so asked."""
        found = queries.enrollments((params.state,) if params.state else ())
        # Not those that wait first: a machine that is decided meanwhile would move past the cursor.
        ordered = sorted(found, key=lambda each: (each.first_at, each.id), reverse=True)
        items, following = in_order(ordered, params, lambda each: each.id)
        return {"items": items, "next": following}


def add_rollouts(operations: Operations, orders: RolloutOrders, queries: Queries) -> None:
    """Adds those on rollouts."""
    _read_rollouts(operations, queries)

    @operations.add(
        "POST",
        "/rollouts/<rollout>/orders",
        level=Level.OPERATOR,
        answer=RolloutView,
        body=Order,
        status=202,
    )
    def order_rollout(rollout: str, body: Order) -> Any:
        """Leaves an order; the engine takes it within a second, or when it runs again."""
        found = queries.rollout(rollout)
        must_order(found, queries)
        clusters = queries.rollout_clusters(found.id)
        wanted = order_of(body.verb, found, clusters, cluster=body.cluster, wave=body.wave)
        orders.order(
            found.id,
            wanted.verb,
            reason=body.reason,
            actor=who().actor,
            cluster=wanted.cluster,
            wave=wanted.wave - 1,
        )
        return queries.rollout(found.id)


def _read_rollouts(operations: Operations, queries: Queries) -> None:
    @operations.add("GET", "/rollouts", level=Level.VIEWER, answer=Page[RolloutView], params=PageParams)
    def list_rollouts(params: PageParams) -> Any:
        """Rollouts, the youngest first."""
        found = queries.rollouts(params.limit + 1, params.cursor)
        items, following = cut(found, params, lambda each: each.id)
        return {"items": items, "next": following}

    @operations.add("GET", "/rollouts/<rollout>", level=Level.VIEWER, answer=RolloutView)
    def get_rollout(rollout: str) -> Any:
        """One rollout, as it was saved last."""
        return queries.rollout(rollout)

    clusters = Page[dict[str, Any]]

    @operations.add(
        "GET", "/rollouts/<rollout>/clusters", level=Level.VIEWER, answer=clusters, params=PageParams
    )
    def get_rollout_clusters(rollout: str, params: PageParams) -> Any:
        """Its clusters with their nodes, in their order."""
        found = queries.rollout_clusters(queries.rollout(rollout).id)
        items, following = in_order(found, params, lambda each: str(each["name"]))
        return {"items": [dict(each) for each in items], "next": following}
