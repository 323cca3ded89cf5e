"""Orders of pages and API about enrolments and rollouts: `web.orders_port` over the use cases."""

from collections.abc import Mapping, Sequence

from controller.app.enrollment import decide
from controller.app.rollout_orders import order
from controller.app.writing import Writing
from inventory.errors import OperatorError
from web.orders_port import WouldBe


class EnrollmentDesk:
    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def would_be(self, id_: str, name: str = "") -> WouldBe:
        try:
            bound = self._writing.run(lambda s: decide.binding(s, decide.find(s, id_), name))
        except OperatorError as error:
            return WouldBe("", error.what)
        return WouldBe(bound.node, bound.why)

    def would_be_all(self, ids: Sequence[str]) -> Mapping[str, WouldBe]:
        found = self._writing.run(lambda s: decide.bindings(s, ids))
        return {
            id_: WouldBe("", bound.what)
            if isinstance(bound, OperatorError)
            else WouldBe(bound.node, bound.why)
            for id_, bound in found.items()
        }

    def approve(self, id_: str, *, name: str, accept_conflict: bool, reason: str, actor: str) -> str:
        done = self._writing.run(
            lambda s: decide.approve(
                s, id_, actor=actor, name=name, accept_conflict=accept_conflict, reason=reason
            )
        )
        return done.node

    def reject(self, id_: str, *, reason: str, again: bool, actor: str) -> None:
        self._writing.run(lambda s: decide.reject(s, id_, actor=actor, reason=reason, again=again))


class RolloutDesk:
    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def order(
        self, rollout: str, verb: str, *, reason: str, actor: str, cluster: str = "", wave: int = -1
    ) -> None:
        self._writing.run(
            lambda s: order(s, rollout, verb, actor=actor, reason=reason, cluster=cluster, wave=wave)
        )
