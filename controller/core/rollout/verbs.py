"""What operators say: pause, resume, abort, cancel, approve. Each id counts once, with a reason. Pure.

Freeze is not here: it holds for the whole fleet and is asked in every step (`Gates.frozen`).
"""

from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import Command, Event, Verb
from controller.core.rollout.model import FINISHED, Phase, RolloutState, Status

REMEMBERED = 200  # command ids

Answer = tuple[RolloutState, tuple[Event, ...]]


def obey(state: RolloutState, command: Command) -> Answer:
    """The state after the command, and what to tell. A command that came twice changes nothing."""
    if command.id in state.commands:
        return state, ()
    if not command.reason.strip() or not command.actor.strip():
        return _refuse(state, command, "an actor and a reason are needed")
    after, events = _VERBS[command.verb](state, command)
    return replace(after, commands=(*after.commands, command.id)[-REMEMBERED:]), events


def _told(state: RolloutState, command: Command, subject: str = "") -> tuple[Event, ...]:
    text = f"{command.actor}: {command.reason}"
    return (Event(str(command.verb), subject or state.rollout, text, {"actor": command.actor}),)


def _refuse(state: RolloutState, command: Command, why: str) -> Answer:
    return state, (Event("refused", state.rollout, f"{command.verb}: {why}", {"actor": command.actor}),)


def _pause(state: RolloutState, command: Command) -> Answer:
    if state.status is Status.PAUSED:
        return state, ()
    if state.status is not Status.RUNNING:
        return _refuse(state, command, f"it is {state.status}")
    after = replace(state, status=Status.PAUSED, why=command.reason, by=command.actor)
    return after, _told(state, command)


def _resume(state: RolloutState, command: Command) -> Answer:
    if state.status is Status.RUNNING:
        return state, ()
    if state.status is Status.STOPPED:
        why = f"{state.why}; roll it back, or abort it and plan another one"
        return _refuse(state, command, why)
    if state.status is not Status.PAUSED:
        return _refuse(state, command, f"it is {state.status}")
    return replace(state, status=Status.RUNNING, why="", by=command.actor), _told(state, command)


def _abort(state: RolloutState, command: Command) -> Answer:
    if state.status is Status.ABORTED:
        return state, ()
    if state.status is Status.SUCCEEDED:
        return _refuse(state, command, "it is done; cto rollout rollback takes it back")
    clusters = {
        name: replace(cluster, phase=Phase.CANCELLED, reason="the rollout was aborted", waits="")
        if cluster.phase is Phase.PENDING
        else replace(cluster, due=state.clock)
        for name, cluster in state.clusters.items()
    }
    after = replace(
        state, status=Status.ABORTED, why=command.reason, by=command.actor, clusters=clusters, next_due=0.0
    )
    return after, _told(state, command)


def _cancel(state: RolloutState, command: Command) -> Answer:
    cluster = state.clusters.get(command.cluster)
    if cluster is None:
        return _refuse(state, command, f"{command.cluster or 'no cluster'} is not part of it")
    if cluster.phase is Phase.CANCELLED:
        return state, ()
    if cluster.phase in FINISHED or cluster.phase is Phase.RUNNING:
        return _refuse(state, command, f"{cluster.name} is {cluster.phase}")
    gone = replace(cluster, phase=Phase.CANCELLED, reason=f"{command.actor}: {command.reason}", waits="")
    clusters = {**state.clusters, cluster.name: gone}
    return replace(state, clusters=clusters, checked_at=-1e9), _told(state, command, cluster.name)


def _approve(state: RolloutState, command: Command) -> Answer:
    if not 0 <= command.wave < len(state.waves):
        return _refuse(state, command, f"there is no wave {command.wave + 1}")
    wave = state.waves[command.wave]
    if wave.approved_by:
        return state, ()
    waves = list(state.waves)
    waves[command.wave] = replace(wave, approved_by=command.actor)
    return replace(state, waves=tuple(waves), checked_at=-1e9), _told(state, command)


_VERBS = {
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.ABORT: _abort,
    Verb.CANCEL: _cancel,
    Verb.APPROVE: _approve,
}
