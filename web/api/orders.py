"""Operations on enrolments and rollouts."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from web.access.grants import Level
from web.access.guard import who
from web.access.sites import may_at
from web.api.operations import Operations, Strict
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


class NodeOut(BaseModel):
    node: str


class Order(Strict):
    verb: Literal["pause", "resume", "abort", "cancel", "approve"]
    reason: Reason
    cluster: Name = Field(default="", description="For cancel.")
    wave: int = Field(default=0, ge=0, le=100_000, description="For approve, from 1; 0: the one that waits.")


def add_enrollments(operations: Operations, enrolling: Enrolling, queries: Queries) -> None:
    """Adds those on machines that ask to join."""

    @operations.add("GET", "/enrollments", level=Level.VIEWER, answer=list[EnrollmentView])
    def list_enrollments() -> Any:
        """Machines that asked to join, those that wait first."""
        return list(queries.enrollments())

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


def add_rollouts(operations: Operations, orders: RolloutOrders, queries: Queries) -> None:
    """Adds those on rollouts."""

    @operations.add("GET", "/rollouts", level=Level.VIEWER, answer=list[RolloutView])
    def list_rollouts() -> Any:
        """The latest rollouts, youngest first."""
        return list(queries.rollouts(100))

    @operations.add("GET", "/rollouts/<rollout>", level=Level.VIEWER, answer=RolloutView)
    def get_rollout(rollout: str) -> Any:
        """One rollout, as it was saved last."""
        return queries.rollout(rollout)

    @operations.add("GET", "/rollouts/<rollout>/clusters", level=Level.VIEWER, answer=list[dict[str, Any]])
    def get_rollout_clusters(rollout: str) -> Any:
        """Its clusters with their nodes, in their order."""
        return [dict(each) for each in queries.rollout_clusters(queries.rollout(rollout).id)]

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
