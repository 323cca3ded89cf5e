"""What follows when nothing followed: deadlines, lost answers and waits that took too long. Pure."""

from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import LookAtNode, Probe, Verdict
from controller.core.rollout.model import WAITING, HopKind, Mode, NodeJob, Stage
from controller.core.rollout.node import (
    REPLY_SLACK,
    Way,
    again,
    begin,
    doubt,
    exhausted,
    fail,
    finish,
    gated,
    recent,
    roll_back,
    undoable,
    untouched,
    wanted,
)
from controller.core.rollout.routes import BOOTS, RECOVERY, Reaction

HANDS = "look at its console or BMC; power it off and on; if it starts, cto rollout status shows with what"


def expire(way: Way, job: NodeJob) -> NodeJob:
    """One look at the clock for a node on its way."""
    if job.mode is Mode.BACKOFF:
        return _retry(way, job)
    if job.mode is Mode.IDLE:
        return job if job.stage in WAITING else _impatient(way, job)
    slack = REPLY_SLACK if job.mode is Mode.ACTING else 0.0
    if way.turn.clock < job.deadline + slack:
        return job
    if job.mode is Mode.ACTING:
        return doubt(way, job)
    return _unknown(way, job) if job.mode is Mode.PROBING else _late(way, job)


def _retry(way: Way, job: NodeJob) -> NodeJob:
    if gated(way, job):
        return _impatient(way, job)
    step = wanted(way, job)
    if not step or (job.stage in WAITING and not way.turn.running):
        return job
    return begin(way, job, step)


def _unknown(way: Way, job: NodeJob) -> NodeJob:
    if RECOVERY[job.step][Verdict.CANNOT_TELL] is Reaction.REPEAT:
        return again(way, job, f"nothing tells whether {job.step} happened")
    why = f"nothing tells whether {way.hop.version} was installed; it may start at the next boot"
    return exhausted(way, job, why)


def _late(way: Way, job: NodeJob) -> NodeJob:
    answers = recent(way, job)
    if job.step in BOOTS:
        # In a rollback of a whole rollout `source` is what it leaves: there, the order just never arrived.
        if answers and job.stage is Stage.ROLLING_BACK and job.talos == job.source:
            why = f"it is back on {job.source}, but: {job.waits}"  # Rollback again would toggle
            return finish(way, job, Stage.NEEDS_HANDS, why)
        if answers:
            # It answers and its boot id is the old one (or it came back with the wrong version).
            return again(way, job, "it did not restart")
        why = f"it did not come back within {job.deadline - job.since:.0f} s: {HANDS}"
        return finish(way, job, Stage.NEEDS_HANDS, why)
    told = job.waits or "it is not healthy"
    why = f"with {way.hop.version}: {told}"
    if not answers:
        return finish(way, job, Stage.NEEDS_HANDS, f"{why}; it stopped answering: {HANDS}")
    if way.hop.kind is HopKind.BACK:
        return finish(way, job, Stage.NEEDS_HANDS, why)
    return roll_back(way, job, why)


def _impatient(way: Way, job: NodeJob) -> NodeJob:
    """Begun, and the guard has not said yes for long."""
    if way.turn.aborting and undoable(job):
        return fail(way, job, Stage.CANCELLED, "the rollout was aborted")
    if untouched(job):
        if way.turn.stopped:
            return fail(way, job, Stage.CANCELLED, "the rollout stopped")
        why = way.closed()
        if why:
            return replace(job, waits=why, since=way.turn.clock)
    since = max(job.since, job.retry_at)
    if way.turn.clock - since < way.turn.timing.guard_wait:
        return job
    why = f"the quorum guard did not let it go on: {job.waits or 'no fresh read'}"
    if undoable(job):
        return fail(way, job, Stage.FAILED, why)
    return finish(way, job, Stage.NEEDS_HANDS, why)


def read(way: Way, job: NodeJob) -> NodeJob:
    """Asks for the read that this node's step waits for, not more often than every few seconds."""
    if job.mode not in (Mode.PROBING, Mode.POLLING) or way.turn.clock - job.asked_at < way.turn.timing.look:
        return job
    if job.mode is Mode.PROBING:
        way.turn.intents.append(Probe(job.key, way.cluster, job.name, way.hop, job.step))
    else:
        way.turn.intents.append(LookAtNode(way.cluster, job.name))
    return replace(job, asked_at=way.turn.clock)
