"""What operators say: pause, resume, abort, cancel, approve, withdraw. Each id counts once. Pure.

Whoever started a rollout can't be the second person who approves. Alone they can, and it counts after ten
minutes, in which it can be withdrawn; whether somebody is alone is for the caller to know.

Freeze is not here: it holds for the whole fleet and is asked in every step (`Gates.frozen`).
"""

from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import Command, Event, Verb
from controller.core.rollout.model import FINISHED, Phase, RolloutState, Status, Wave

REMEMBERED = 200  # command ids

ALONE = 600.0  # seconds to think again, where there is nobody to ask

Answer = tuple[RolloutState, tuple[Event, ...]]


def obey(state: RolloutState, command: Command, clock: float) -> Answer:
    """The state after the command, and what to tell. A command that came twice changes nothing. `clock`: the
    rollout's own, now.
    """
    if command.id in state.commands:
        return state, ()
    if not command.reason.strip() or not command.actor.strip():
        return _refuse(state, command, "an actor and a reason are needed")
    if command.verb in (Verb.APPROVE, Verb.APPROVE_ALONE):
        after, events = _approve(state, command, clock)
    else:
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


def _approve(state: RolloutState, command: Command, clock: float) -> Answer:
    wave = _named(state, command)
    if wave is None:
        return _refuse(state, command, f"there is no wave {command.wave + 1}")
    alone = command.verb is Verb.APPROVE_ALONE
    if not alone and command.actor == state.started_by:
        return _refuse(state, command, f"{command.actor} started it, and can't be the second person")
    if wave.approved_by and (alone or clock >= wave.holds_from):
        return state, ()
    after = replace(wave, approved_by=command.actor, holds_from=clock + ALONE if alone else clock)
    return _with_wave(state, command, after), _told(state, command)


def _withdraw(state: RolloutState, command: Command) -> Answer:
    wave = _named(state, command)
    if wave is None or not wave.approved_by:
        return _refuse(state, command, f"nobody approved a wave {command.wave + 1}")
    if wave.started:
        return _refuse(state, command, f"wave {command.wave + 1} was begun; pause the rollout, or abort it")
    return _with_wave(state, command, replace(wave, approved_by="", holds_from=0.0, asked=False)), _told(
        state, command
    )


def _named(state: RolloutState, command: Command) -> Wave | None:
    return state.waves[command.wave] if 0 <= command.wave < len(state.waves) else None


def _with_wave(state: RolloutState, command: Command, wave: Wave) -> RolloutState:
    waves = list(state.waves)
    waves[command.wave] = wave
    return replace(state, waves=tuple(waves), checked_at=-1e9)


_VERBS = {
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.ABORT: _abort,
    Verb.CANCEL: _cancel,
    Verb.WITHDRAW: _withdraw,
}
