"""Waves: when the next clusters may begin, when a wave has baked, when all stops. Pure and fail-closed.

A wave is passed only if all of its clusters are finished, few enough failed, and it was *seen* healthy for
as long as the policy says. What was not seen does not count, and red starts it over.
"""

from dataclasses import dataclass

from controller.core.rollout.budget import count, exceeded
from controller.core.rollout.evolve import replace
from controller.core.rollout.health import STALE
from controller.core.rollout.model import ClusterJob, Phase, Policy, Status, Wave
from controller.core.rollout.turn import Turn
from inventory.wording import count as number_of


@dataclass(slots=True)
class Standing:
    """What the waves decide about; mutable within one step."""

    status: Status
    why: str
    wave: int
    waves: list[Wave]
    clusters: dict[str, ClusterJob]


def bake_seconds(policy: Policy, wave: int) -> int:
    """The last figure of the policy repeats."""
    return policy.bake_seconds[min(wave, len(policy.bake_seconds) - 1)]


def needs_approval(policy: Policy, number: int, wave: Wave) -> bool:
    return wave.gated or policy.approval == "each-wave" or (policy.approval == "first-wave" and number == 0)


def approved(wave: Wave, clock: float) -> bool:
    return bool(wave.approved_by) and clock >= wave.holds_from


def progress(turn: Turn, standing: Standing) -> None:
    """One look at all waves that were begun."""
    if standing.status not in (Status.RUNNING, Status.PAUSED):
        return
    if _over_budget(turn, standing):
        return
    wave = standing.waves[standing.wave]
    if not wave.started:
        _start_wave(turn, standing)
    else:
        members = [standing.clusters[name] for name in wave.clusters]
        if count(members).finished:
            _bake(turn, standing, wave)
        else:
            _fill(turn, standing, members)


def _over_budget(turn: Turn, standing: Standing) -> bool:
    for number, wave in enumerate(standing.waves[: standing.wave + 1]):
        counted = count(standing.clusters[name] for name in wave.clusters)
        why = exceeded(turn.policy, number, counted)
        if why:
            standing.status, standing.why = Status.STOPPED, why
            turn.tell("stopped", turn.rollout, why, wave=number + 1, failed=counted.failed)
            return True
    return False


def _start_wave(turn: Turn, standing: Standing) -> None:
    wave = standing.waves[standing.wave]
    if not turn.running or turn.frozen:
        return
    if needs_approval(turn.policy, standing.wave, wave) and not approved(wave, turn.clock):
        _ask(turn, standing, wave)
        return
    standing.waves[standing.wave] = replace(wave, started=True)
    turn.tell(
        "wave-started",
        turn.rollout,
        f"wave {standing.wave + 1}: {number_of(len(wave.clusters), 'cluster')}",
        wave=standing.wave + 1,
    )
    _fill(turn, standing, [standing.clusters[name] for name in wave.clusters])


def _ask(turn: Turn, standing: Standing, wave: Wave) -> None:
    """Told once: nobody should find in the morning that all night nothing but their word was missing."""
    if wave.asked or wave.approved_by:
        return
    number = standing.wave + 1
    standing.waves[standing.wave] = replace(wave, asked=True)
    text = f"wave {number} waits for a person: cto rollout approve {turn.rollout} --wave {number} --reason …"
    turn.tell("approval-wanted", turn.rollout, text, wave=number)


def _fill(turn: Turn, standing: Standing, members: list[ClusterJob]) -> None:
    """Begins clusters up to the policy's number at a time."""
    if not turn.running or turn.frozen:
        return
    room = turn.policy.max_parallel - sum(c.phase in (Phase.CHECKING, Phase.RUNNING) for c in members)
    for cluster in members:
        if room <= 0:
            return
        if cluster.phase is Phase.PENDING:
            standing.clusters[cluster.name] = replace(
                cluster, phase=Phase.CHECKING, since=turn.clock, asked_at=-1e9, due=turn.clock
            )
            room -= 1


def _bake(turn: Turn, standing: Standing, wave: Wave) -> None:
    if not wave.baking:
        turn.tell(
            "wave-baking", turn.rollout, f"wave {standing.wave + 1} is finished", wave=standing.wave + 1
        )
        standing.waves[standing.wave] = replace(wave, baking=True)
        return
    green, why = _green(turn, standing)
    if green:
        wave = replace(wave, baked=wave.baked + turn.observed)
    elif why:
        wave = replace(wave, baked=0.0)
    standing.waves[standing.wave] = wave
    if green and wave.baked >= bake_seconds(turn.policy, standing.wave) and turn.running and not turn.frozen:
        _pass(turn, standing, wave)


def _green(turn: Turn, standing: Standing) -> tuple[bool, str]:
    """(all green now, what is red). Neither: some cluster's health was not seen lately."""
    stale = STALE * turn.timing.health
    fresh = True
    for wave in standing.waves[: standing.wave + 1]:
        for name in wave.clusters:
            cluster = standing.clusters[name]
            if cluster.phase is not Phase.SUCCEEDED:
                continue
            if cluster.red:
                return False, cluster.red
            if turn.clock - cluster.last_green <= stale and cluster.last_green >= 0:
                continue
            fresh = False
            unseen = turn.clock - max(cluster.last_green, cluster.since)
            if unseen >= turn.timing.inconclusive and standing.status is Status.RUNNING:
                standing.status = Status.PAUSED
                standing.why = f"the health of {name} was not seen for {unseen:.0f} s"
                turn.tell("paused", turn.rollout, standing.why)
    return fresh and standing.status is Status.RUNNING, ""


def _pass(turn: Turn, standing: Standing, wave: Wave) -> None:
    standing.waves[standing.wave] = replace(wave, passed=True)
    for name in wave.clusters:
        standing.clusters[name] = replace(standing.clusters[name], ill=0.0)
    turn.tell("wave-done", turn.rollout, f"wave {standing.wave + 1} has baked", wave=standing.wave + 1)
    if standing.wave + 1 == len(standing.waves):
        standing.status, standing.why = Status.SUCCEEDED, ""
        turn.tell("succeeded", turn.rollout, "all waves are done")
        return
    standing.wave += 1
    _start_wave(turn, standing)
