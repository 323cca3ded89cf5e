"""The rollout's one decision function: state and observations in, new state, intents and events out.

Pure and deterministic. Whoever calls it stores the new state first and does the intents afterwards; a crash
between the two is made good by `Restarted`, after which everything under way is looked up.
"""

from collections.abc import Sequence

from controller.core.rollout.cluster import advance
from controller.core.rollout.evolve import replace
from controller.core.rollout.health import watch
from controller.core.rollout.messages import Command, Event, Gates, Intent, Observation, Restarted
from controller.core.rollout.model import ClusterJob, Phase, RolloutState, Status
from controller.core.rollout.node import active
from controller.core.rollout.promotion import Standing, progress
from controller.core.rollout.turn import Turn, clocks
from controller.core.rollout.verbs import obey

WAVE_INTERVAL = 5.0  # seconds between looks at the waves when nothing happened
TICK = 30.0  # the longest that a caller may stay away without a gap in what counts as observed

Decision = tuple[RolloutState, tuple[Intent, ...], tuple[Event, ...]]


def step(state: RolloutState, observations: Sequence[Observation], now: float, gates: Gates) -> Decision:
    """What follows from what was just seen, at this moment."""
    clock, observed = clocks(state, now)
    state, told = _obeyed(state, observations, clock)
    turn = _turn(state, now, clock, observed, gates)
    turn.events += told
    clusters = dict(state.clusters)
    if now < state.wall:
        _forget_order(clusters)
    next_due = _clusters(turn, state, clusters, observations)
    standing = Standing(state.status, state.why, state.wave, list(state.waves), clusters)
    checked, next_due = _waves(turn, state, standing, next_due)
    after = replace(
        state,
        status=standing.status,
        why=standing.why,
        wave=standing.wave,
        waves=tuple(standing.waves),
        clusters=clusters,
        clock=clock,
        wall=now,
        next_due=next_due,
        checked_at=checked,
        failures=turn.failures,
    )
    return after, tuple(turn.intents), tuple(turn.events)


def _obeyed(
    state: RolloutState, observations: Sequence[Observation], clock: float
) -> tuple[RolloutState, list[Event]]:
    told: list[Event] = []
    for said in observations:
        if isinstance(said, Command):
            state, events = obey(state, said, clock)
            told += events
    return state, told


def _turn(state: RolloutState, now: float, clock: float, observed: float, gates: Gates) -> Turn:
    return Turn(
        rollout=state.rollout,
        policy=state.policy,
        seed=state.seed,
        now=now,
        clock=clock,
        observed=observed,
        gates=gates,
        remedy=state.remedy,
        running=state.status is Status.RUNNING,
        aborting=state.status is Status.ABORTED,
        stopped=state.status is Status.STOPPED,
        frozen=gates.frozen(),
        failures=dict(state.failures),
    )


def _waves(turn: Turn, state: RolloutState, standing: Standing, next_due: float) -> tuple[float, float]:
    """A look at the waves, if it is time. Returns when the last look was, and when a cluster is due."""
    if not state.waves:
        return state.checked_at, next_due
    baking = state.waves[state.wave].baking
    if not (turn.dirty or baking or turn.clock - state.checked_at >= WAVE_INTERVAL):
        return state.checked_at, next_due
    progress(turn, standing)
    return turn.clock, 0.0 if standing.wave != state.wave or not baking else next_due


def _clusters(
    turn: Turn, state: RolloutState, clusters: dict[str, ClusterJob], observations: Sequence[Observation]
) -> float:
    """Advances clusters about which something was said or that are due. Returns when the next one is."""
    said = _by_cluster(clusters, observations)
    over = state.status in (Status.SUCCEEDED, Status.STOPPED, Status.ABORTED)
    if turn.clock < state.next_due:
        for name, about in said.items():
            clusters[name] = _one(turn, clusters[name], about, over=over)
        return min(
            [state.next_due, *(clusters[name].due for name in said if _alive(clusters[name], over=over))]
        )
    due = turn.clock + TICK
    for name, before in clusters.items():
        if not _alive(before, over=over):
            continue
        touched = name in said or before.due <= turn.clock
        after = _one(turn, before, said.get(name, ()), over=over) if touched else before
        clusters[name] = after
        if _alive(after, over=over):
            due = min(due, after.due)
    return due


def _by_cluster(
    clusters: dict[str, ClusterJob], observations: Sequence[Observation]
) -> dict[str, list[Observation]]:
    said: dict[str, list[Observation]] = {}
    for one in observations:
        if isinstance(one, Restarted):
            for name in clusters:
                said.setdefault(name, []).append(one)
        elif not isinstance(one, Command) and one.cluster in clusters:
            said.setdefault(one.cluster, []).append(one)
    return said


def _alive(cluster: ClusterJob, *, over: bool) -> bool:
    return cluster.phase in (Phase.CHECKING, Phase.RUNNING) or (cluster.phase is Phase.SUCCEEDED and not over)


def _one(turn: Turn, cluster: ClusterJob, about: Sequence[Observation], *, over: bool) -> ClusterJob:
    if cluster.phase in (Phase.CHECKING, Phase.RUNNING):
        return advance(turn, cluster, about)
    return watch(turn, cluster, about) if cluster.phase is Phase.SUCCEEDED and not over else cluster


def _forget_order(clusters: dict[str, ClusterJob]) -> None:
    """The wall clock went back: reads from before would look newer than all that follow."""
    for name, cluster in clusters.items():
        if cluster.phase in (Phase.RUNNING, Phase.SUCCEEDED):
            nodes = {n: replace(job, seen_at=0.0) for n, job in cluster.nodes.items()}
            clusters[name] = replace(cluster, seen_at=0.0, nodes=nodes)


def next_wake(state: RolloutState) -> float:
    """Seconds after which `step` should be called although nothing was observed."""
    return min(TICK, max(0.0, state.next_due - state.clock))


def settled(state: RolloutState) -> bool:
    """Nothing is under way, and nothing will be begun without an operator."""
    if state.status in (Status.RUNNING, Status.PAUSED):
        return not state.waves
    if state.status is Status.SUCCEEDED:
        return True
    return not any(
        cluster.phase is Phase.RUNNING and any(active(job) for job in cluster.nodes.values())
        for cluster in state.clusters.values()
    )
