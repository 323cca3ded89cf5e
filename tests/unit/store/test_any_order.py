"""Any order of acts, with engines that die in between: the promises of the store hold after each."""

import itertools
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.store import StepRef, Store
from controller.store.home import Home
from controller.store.nodes import MOVES
from controller.store.rows import Step
from inventory.errors import InvariantError, RefusedError
from inventory.lifecycle import NODE_TRANSITIONS, NodeState, advance
from tests.unit.store.support import KEY_A, SteppingClock, fleet

NAMES = ("n1", "n2")
STEPS = sorted({t.step for t in NODE_TRANSITIONS if t.step != "pin"})
names, steps = st.sampled_from(NAMES), st.sampled_from(STEPS)


class AnyOrder(RuleBasedStateMachine):
    """`expected` is what a reader of the promises would say; the store has to agree after each act."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cto-any-order-"))
        self.clock, self.ids = SteppingClock(), itertools.count()
        self.expected = dict.fromkeys(NAMES, NodeState.PINNED)
        self.open: dict[str, Step] = {}
        self.start()
        self.store.declare(fleet(*NAMES, host_keys=dict.fromkeys(NAMES, KEY_A)), actor="a")
        self.run_id = self.store.queue_run("apply", {}, actor="a")
        self.rows = self.store.audit_head().seq

    def start(self) -> None:
        self.store = Store.open(
            Home(self.folder / "home"), now=self.clock, new_id=lambda: str(next(self.ids))
        )
        self.store.start_engine(1, ballast=4096)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule()
    def the_engine_dies(self) -> None:
        self.store._connection.close()  # nothing is written at the end, as after kill -9
        self.start()
        assert {step.ref.subject: step for step in self.store.open_steps()} == self.open

    @rule(name=names, step=steps)
    def begin(self, name: str, step: str) -> None:
        try:
            begun = self.store.begin(StepRef(self.run_id, "node", name, step), detail={})
        except InvariantError:
            assert name in self.open
            return
        assert name not in self.open
        self.open[name] = begun
        self.rows += 1

    @precondition(lambda self: self.open)
    @rule(data=st.data(), outcome=st.sampled_from(["done", "failed", "indeterminate", "cancelled"]))
    def finish(self, data: st.DataObject, outcome: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.open)))
        step = self.open[name]
        try:
            after = advance(self.expected[name], step.ref.step) if outcome == "done" else self.expected[name]
        except InvariantError:
            after = None
        try:
            self.store.finish(step, outcome=outcome, detail={"what": "w"})  # type: ignore[arg-type]
        except InvariantError:
            assert after is None
            return
        assert after is not None
        self.expected[name] = after
        del self.open[name]
        self.rows += 1

    @rule(name=names, state=st.sampled_from(sorted(set(NodeState) - {NodeState.DECLARED})))
    def move(self, name: str, state: NodeState) -> None:
        try:
            self.store.move(name, state, reason="seen", actor="engine")
        except RefusedError:
            assert self.expected[name] not in MOVES.get(state, ())
            return
        self.expected[name] = state
        self.rows += 1

    @invariant()
    def the_store_agrees(self) -> None:
        assert {node.name: node.state for node in self.store.nodes()} == self.expected
        report = self.store.audit_verify()
        assert (report.ok, report.rows) == (True, self.rows)  # exactly one row for each change


AnyOrder.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestAnyOrder = AnyOrder.TestCase
