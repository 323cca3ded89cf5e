"""Drives one rollout: asks the pure core what follows, stores that, then does it and tells how it went.

One decision is one transaction: state, ordered acts, events, and the calendar that allowed them. Acts begin
after it, each as a task of its own; their ends, and what was read, are the next decision's observations.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.app.context import Limits
from controller.app.crash import crash_point
from controller.app.looking import keep_seen
from controller.app.rollout_gates import Remembered, StoreGates
from controller.app.rollout_releases import Withdrawals
from controller.app.rollout_save import reads_only, saved
from controller.app.services import Services
from controller.app.upgrade.acts import Doing, perform
from controller.app.upgrade.lease import Disruption
from controller.app.upgrade.looks import look_at_cluster, look_at_node
from controller.app.upgrade.preflight import preflight
from controller.app.upgrade.probes import look_up
from controller.app.upgrade.reach import Reach
from controller.app.windows import read_clock
from controller.core.calendar.trust import Reading
from controller.core.rollout.codec import load_parts
from controller.core.rollout.messages import (
    Act,
    Command,
    Intent,
    LookAtCluster,
    LookAtNode,
    Observation,
    Outcome,
    Preflight,
    Probe,
    Probed,
    Restarted,
    Verb,
)
from controller.core.rollout.model import ClusterJob, HopKind, Phase, RolloutState
from controller.core.rollout.step import next_wake, settled, step
from inventory.errors import BusyError

POLL = 0.5  # seconds between looks for commands
GATHER = 0.05  # what arrives within it is decided upon together
KEEP = 5.0  # seconds for which reads alone need not be stored: after a crash everything is read again


@dataclass(slots=True)
class _Hands:
    """What one cluster is handled with."""

    reach: Reach
    disruption: Disruption


@dataclass(slots=True)
class Driver:
    """`run` returns when the rollout is over: nothing is under way, and nothing will be begun."""

    services: Services
    rollout: str
    limits: Limits = field(default_factory=Limits.default)
    state: RolloutState = field(init=False)
    facts: Mapping[str, Any] = field(init=False)
    over: bool = False
    _inbox: list[Observation] = field(default_factory=lambda: [Restarted()])
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _hands: dict[str, _Hands] = field(default_factory=dict)
    _stored: dict[str, ClusterJob] = field(default_factory=dict)
    _stored_at: float = -1e9
    _turned_at: float = 0.0
    _begun: dict[str, float] = field(default_factory=dict)
    _last: Reading | None = None
    _calendars: Remembered = field(default_factory=Remembered)
    _withdrawals: Withdrawals = field(init=False)

    def __post_init__(self) -> None:
        store = self.services.store
        row = store.rollout(self.rollout)
        self.state = load_parts(row.head, store.rollout_bodies(self.rollout).values())
        self.facts, self.over = row.facts, row.over
        self._stored = dict(self.state.clusters)
        self._withdrawals = Withdrawals(str(self.facts.get("channel", "")))

    async def run(self) -> None:
        """Raises BusyError when a newer engine has taken over, StoreError when the store failed."""
        try:
            while not self.over:
                for intent in self._turn():
                    self._start(intent)
                await self._let_go()
                await self._wait()
        finally:
            await self._stop()

    # --- decisions

    def _turn(self) -> tuple[Intent, ...]:
        """One decision. While another program has the store locked, nothing is decided."""
        store, clock = self.services.store, self.services.clock
        orders = store.rollout_commands(self.rollout)
        heard = [*self._inbox, *(_command(each) for each in orders)]
        gates = self._gates()
        try:
            with store.rollout_turn(self.rollout) as turn:
                now = clock.now().timestamp()
                after, intents, events = step(self.state, heard, now, gates)
                acts = [intent for intent in intents if isinstance(intent, Act)]
                for act in acts:
                    crash_point(f"rollout-{act.step}", "before_intent", act.node)
                quiet = not (acts or events or orders) and reads_only(heard)
                due = clock.monotonic() - self._stored_at >= KEEP
                over = settled(after) and not acts and not self._acting()
                if due or over or not quiet:
                    saved(turn, self, after, heard, acts, events, over=over)
                    turn.obeyed(each.id for each in orders)
                    self._stored_at = clock.monotonic()
                    self._stored = dict(after.clusters)
        except BusyError:
            if store.overtaken():
                raise
            return ()
        for act in acts:
            crash_point(f"rollout-{act.step}", "after_intent", act.node)
        self.state, self.over = after, over
        self._inbox.clear()
        self._turned_at = clock.monotonic()
        for said in heard:
            if isinstance(said, Outcome | Probed):
                crash_point(f"rollout-{said.key.split('/')[3]}", "after_observe", said.node)
        return intents

    def changed(self, after: RolloutState) -> dict[str, ClusterJob]:
        """Clusters that are not as they are stored."""
        return {n: c for n, c in after.clusters.items() if self._stored.get(n) is not c}

    def began(self, node: str, at: float) -> None:
        self._begun[node] = at

    def took(self, node: str, at: float) -> int:
        """Seconds since the node was begun; 0 if that was before this controller started."""
        return int(at - self._begun.pop(node, at))

    def _gates(self) -> StoreGates:
        reading, last = read_clock(self.services), self._last
        self._last = reading
        kinds = {hop.kind for cluster in self.state.clusters.values() for hop in cluster.hops}
        kind = str(next(iter(sorted(kinds)), HopKind.TALOS))
        return StoreGates(
            self.services,
            reserve=int(self.facts.get("reserve", 0)),
            durations=self.services.store.rollout_durations(kind),
            last=last,
            remembered=self._calendars,
            withdrawn=self._withdrawals.why(self.services, self.state),
        )

    # --- what follows from them

    def _start(self, intent: Intent) -> None:
        """A task; a read that is under way is not begun again."""
        name = _task_name(intent)
        if name in self._tasks:
            return
        task = asyncio.ensure_future(self._do(intent))
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or task.exception() is None:
            self._tasks.pop(name, None)
        self._news.set()  # a task that failed is found by `_wait`

    async def _do(self, intent: Intent) -> None:
        hands = self._handled(intent.cluster)
        reach, schematic = hands.reach, bool(self.state.target.schematic)
        if isinstance(intent, Act):
            self._heard(await self._act(Doing(reach, intent, hands.disruption)))
        elif isinstance(intent, Probe):
            self._heard(await look_up(reach, intent))
        elif isinstance(intent, LookAtNode):
            cluster = self.state.clusters[intent.cluster]
            static = cluster.hops[cluster.hop].kind is HopKind.CONTROL_PLANE
            self._heard(await look_at_node(reach, intent.node, static=static, schematic=schematic))
        elif isinstance(intent, LookAtCluster):
            seen = await look_at_cluster(reach, hands.disruption.holder, schematic=schematic)
            keep_seen(reach.services, seen)
            self._heard(seen)
        elif isinstance(intent, Preflight):
            self._heard(await preflight(reach, self.state, intent.cluster))

    async def _act(self, doing: Doing) -> Outcome:
        outcome = await perform(doing)
        crash_point(f"rollout-{doing.act.step}", "after_effect", doing.act.node)
        return outcome

    def _heard(self, said: Observation) -> None:
        self._inbox.append(said)
        self._news.set()

    def _handled(self, cluster: str) -> _Hands:
        if cluster not in self._hands:
            reach = Reach(self.services, cluster, self.limits)
            holder = f"cto/{self.services.store.controller_id()}/{self.rollout}"
            self._hands[cluster] = _Hands(reach, Disruption(reach, holder))
        return self._hands[cluster]

    def _acting(self) -> bool:
        return any(name.startswith("act ") for name in self._tasks)

    # --- waiting and ending

    async def _wait(self) -> None:
        """Until something was heard or ordered, or is due."""
        if self.over:
            return
        clock = self.services.clock
        due = self._turned_at + next_wake(self.state)
        while True:
            left = min(POLL, max(due - clock.monotonic(), 0.0))
            try:
                async with asyncio.timeout(left + 0.01):
                    await self._news.wait()
            except TimeoutError:
                if clock.monotonic() < due and not self.services.store.rollout_commands(self.rollout):
                    continue
            break
        for task in self._tasks.values():
            if task.done():
                task.result()  # our bug, or a store that failed: the engine must see it
        await asyncio.sleep(GATHER)
        self._news.clear()

    async def _let_go(self) -> None:
        """Of clusters that are through: their lease, and connections that nobody needs any more."""
        for name, hands in self._hands.items():
            if self.state.clusters[name].phase not in (Phase.CHECKING, Phase.RUNNING):
                await hands.disruption.release()

    async def _stop(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for hands in self._hands.values():
            await hands.reach.close()


def _task_name(intent: Intent) -> str:
    if isinstance(intent, Act):
        return f"act {intent.key}"
    if isinstance(intent, Probe):
        return f"probe {intent.key}"
    if isinstance(intent, LookAtNode):
        return f"node {intent.cluster}/{intent.node}"
    kind = "cluster" if isinstance(intent, LookAtCluster) else "preflight"
    return f"{kind} {intent.cluster}"


def _command(row: Any) -> Command:
    return Command(row.id, Verb(row.verb), row.actor, row.reason, row.cluster, row.wave)
