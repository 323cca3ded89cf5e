"""One node's way through one hop: what follows from an answer, a probe, a read and a deadline.

Does not choose which node goes next and does not ask the guard: `cluster` does.
"""

from dataclasses import dataclass

from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import Act, Outcome, Probed, Result
from controller.core.rollout.model import TERMINAL, WAITING, Hop, HopKind, Mode, NodeJob, Stage
from controller.core.rollout.routes import (
    BOOTS,
    GUARDED,
    MAX_ATTEMPTS,
    MAX_ROLLBACKS,
    MAX_STORES,
    RECOVERY,
    STAGE_AFTER,
    STAGE_OF,
    Reaction,
    following,
    seconds,
)
from controller.core.rollout.turn import Turn

REPLY_SLACK = 30.0  # an answer that is so late is lost
PROBE_SECONDS = 120.0
CLOSED = "its window: "
_KUBERNETES = (HopKind.CONTROL_PLANE, HopKind.KUBELET)


@dataclass(frozen=True, slots=True)
class Way:
    """The hop that one cluster is in, within one call of `step`."""

    turn: Turn
    cluster: str
    hop: Hop
    number: int
    site: str = ""

    def closed(self) -> str:
        """Why nothing disruptive may begin at the site now; empty = it may."""
        if not self.turn.running:
            return "the rollout is not running"
        if self.turn.frozen:
            return self.turn.frozen
        admission = self.turn.gates.admits(self.site, self.turn.now, self.turn.timing.expected)
        return "" if admission.ok else f"{CLOSED}{admission.reason or 'closed'}"


def active(job: NodeJob) -> bool:
    """Whether the cluster's disruption is (partly) this node's."""
    return job.stage not in TERMINAL and job.stage not in WAITING


def untouched(job: NodeJob) -> bool:
    """It was chosen, and nothing is known to have been done to it: to go on is to begin it."""
    return job.stage is Stage.GUARDED and job.ending is None


def gated(way: Way, job: NodeJob) -> bool:
    """Whether the step that it would begin now needs a fresh read of its cluster."""
    step = wanted(way, job)
    return step in GUARDED or (bool(step) and untouched(job))


def recent(way: Way, job: NodeJob) -> bool:
    """Whether the node answered lately, on the rollout's clock."""
    return job.seen_clock >= 0 and way.turn.clock - job.seen_clock <= 6 * way.turn.timing.look


def wanted(way: Way, job: NodeJob) -> str:
    """The step that this node would begin now; empty while one is under way."""
    if job.mode is Mode.BACKOFF:
        return job.step if way.turn.clock >= job.retry_at else ""
    if job.mode is not Mode.IDLE or job.stage in TERMINAL:
        return ""
    return "back" if job.stage is Stage.ROLLING_BACK else following(way.hop.kind, job.step)


def begin(way: Way, job: NodeJob, step: str) -> NodeJob:
    """Writes the intent of the next step, or begins to wait for what the node will show."""
    if way.turn.aborting and undoable(job) and job.ending is None:
        return fail(way, job, Stage.CANCELLED, "the rollout was aborted")
    attempt = job.attempt + 1 if job.step == step else 1
    if attempt > (MAX_ROLLBACKS if step == "back" else MAX_ATTEMPTS):
        return exhausted(way, replace(job, step=step), f"{step} was tried {job.attempt} times")
    if job.stores >= MAX_STORES and job.ending is None:
        return finish(way, job, Stage.NEEDS_HANDS, f"it went in circles: {job.stores} changes of state")
    limit = seconds(step, way.turn.timing)
    begun = replace(
        job,
        step=step,
        attempt=attempt,
        stage=job.stage if job.stage is Stage.ROLLING_BACK else _stage(step, job),
        mode=Mode.POLLING,
        since=way.turn.clock,
        deadline=way.turn.clock + limit,
        asked_at=-1e9,
        green_since=-1.0,
        stores=job.stores + 1,
        cordoned=job.cordoned or (step == "cordon" and not job.kept_cordon),
        key="",
        waits="",
    )
    if step in ("verify", "soak"):
        return begun
    key = f"{way.turn.rollout}/{way.number}/{job.name}/{step}/{attempt}"
    way.turn.intents.append(
        Act(key, way.cluster, job.name, replace(way.hop, source=job.source), step, attempt, limit)
    )
    mode = Mode.POLLING if step in BOOTS else Mode.ACTING
    if step == "back" and way.hop.kind is HopKind.BACK:
        begun = replace(begun, stage=Stage.REBOOTING)
    return replace(begun, key=key, mode=mode)


def _stage(step: str, job: NodeJob) -> Stage:
    return STAGE_OF.get(step, job.stage) if job.ending is None else job.stage


def undoable(job: NodeJob) -> bool:
    """Nothing was installed yet: the node can be left as it is."""
    return job.stage in (Stage.PLANNED, Stage.STAGED, Stage.GUARDED, Stage.CORDONED, Stage.DRAINED)


def done(way: Way, job: NodeJob) -> NodeJob:
    """The step's effect is there. Goes on at once unless the next step needs the guard or its way.turn."""
    stage = job.stage if job.ending is not None else STAGE_AFTER.get(job.step, job.stage)
    job = replace(
        job,
        stage=stage,
        mode=Mode.IDLE,
        since=way.turn.clock,
        stores=job.stores + 1,
        cordoned=job.cordoned and job.step != "uncordon",
    )
    if job.step == "uncordon" and job.ending is not None:
        return finish(way, job, job.ending, job.reason)
    step = following(way.hop.kind, job.step)
    if step == "uncordon" and not job.cordoned:
        step = following(way.hop.kind, step)
    if not step:
        return finish(way, job, Stage.COMMITTED, "")
    if way.turn.aborting and undoable(job):
        return fail(way, job, Stage.CANCELLED, "the rollout was aborted")
    if job.stage in WAITING or gated(way, job):
        return job
    return begin(way, job, step)


def answered(way: Way, job: NodeJob, said: Outcome) -> NodeJob:
    """The caller of an act says how it ended. Only the step that is under way is listened to."""
    if said.key != job.key or job.mode not in (Mode.ACTING, Mode.POLLING, Mode.PROBING):
        return job
    if job.step in BOOTS and said.result in (Result.DONE, Result.INDETERMINATE):
        return job  # the node itself will show it
    if said.result is Result.DONE:
        return done(way, job)
    if said.result is Result.NOT_SENT:
        return again(way, job, said.detail)
    if said.result is Result.INDETERMINATE:
        return doubt(way, job) if job.mode is Mode.ACTING else job
    return refused(way, job, said.detail)


def refused(way: Way, job: NodeJob, detail: str) -> NodeJob:
    """A verified no: never sent again, except that a node is always uncordoned."""
    if job.step == "uncordon":
        return again(way, job, detail)
    if job.step == "drain" and way.turn.policy.force_drain:
        way.turn.tell("drain-forced", job.name, f"goes on without an empty node: {detail}")
        return done(way, job)
    return exhausted(way, job, detail or f"{job.step} failed")


def exhausted(way: Way, job: NodeJob, why: str) -> NodeJob:
    """The step will not be tried again."""
    if job.step == "snapshot" and way.turn.remedy:  # what is to be mended may be what gives none
        way.turn.tell("snapshot-left-out", job.name, f"goes back without one: {why}", cluster=way.cluster)
        return done(way, job)
    if job.step == "reboot":
        return finish(
            way, job, Stage.NEEDS_HANDS, f"{way.hop.version} is installed but does not start: {why}"
        )
    if job.step == "back" or (job.step == "upgrade" and job.attempt > 1):
        return finish(way, job, Stage.NEEDS_HANDS, why)
    if job.step == "uncordon":
        job = replace(job, ending=None)
        return finish(way, job, Stage.NEEDS_HANDS, f"it is still cordoned: {why}")
    return fail(way, job, Stage.FAILED, why)


def doubt(way: Way, job: NodeJob) -> NodeJob:
    """It is not known what happened: look it up before anything is repeated."""
    return replace(
        job,
        mode=Mode.PROBING,
        asked_at=-1e9,
        deadline=max(job.deadline, way.turn.clock + PROBE_SECONDS),
        stores=job.stores + 1,
    )


def once_more(way: Way, job: NodeJob) -> NodeJob:
    """The controller was away, and nobody looked: the deadline leaves time for a few looks."""
    looks = 6 * way.turn.timing.look + (way.turn.timing.soak if job.step == "soak" else 0.0)
    return replace(job, asked_at=-1e9, deadline=max(job.deadline, way.turn.clock + looks))


def again(way: Way, job: NodeJob, why: str) -> NodeJob:
    """The same step later, as another attempt with another key."""
    wait = way.turn.backoff(job.key, job.attempt)
    # A patch is the first thing that happens to a control plane's Kubernetes, and this one did not happen.
    anew = job.step == "patch" and way.hop.kind is HopKind.CONTROL_PLANE
    return replace(
        job,
        stage=Stage.GUARDED if anew else job.stage,
        mode=Mode.BACKOFF,
        retry_at=way.turn.clock + wait,
        waits=f"tries again: {why}",
        stores=job.stores + 1,
    )


def probed(way: Way, job: NodeJob, found: Probed) -> NodeJob:
    if found.key != job.key or job.mode is not Mode.PROBING:
        return job
    reaction = RECOVERY[job.step][found.verdict]
    if reaction is Reaction.GO_ON:
        return done(way, job)
    if reaction is Reaction.REPEAT:
        return again(way, job, found.detail or f"{job.step} did not happen")
    return replace(job, waits=found.detail or f"can't tell yet whether {job.step} happened")


def roll_back(way: Way, job: NodeJob, why: str) -> NodeJob:
    way.turn.tell("rolling-back", job.name, why)
    return replace(
        job,
        stage=Stage.ROLLING_BACK,
        mode=Mode.IDLE,
        step="",
        attempt=0,
        since=way.turn.clock,
        reason=why,
        stores=job.stores + 1,
    )


def fail(way: Way, job: NodeJob, outcome: Stage, why: str) -> NodeJob:
    """Ends a node's way; uncordons it first. One that needs hands stays cordoned."""
    if not job.cordoned:
        return finish(way, job, outcome, why)
    job = replace(job, ending=outcome, reason=why, step="" if job.step == "uncordon" else job.step)
    return begin(way, job, "uncordon")


def finish(way: Way, job: NodeJob, stage: Stage, why: str) -> NodeJob:
    way.turn.dirty = True
    if stage in (Stage.ROLLED_BACK, Stage.NEEDS_HANDS):
        name = f"{job.name} {way.hop.version}"
        way.turn.failures[name] = way.turn.failures.get(name, 0) + 1
    text = why or f"runs {way.hop.version}"
    way.turn.tell(f"node-{stage}", job.name, text, cluster=way.cluster, version=way.hop.version)
    if job.until and way.turn.now > job.until and stage is not Stage.CANCELLED:
        late = way.turn.now - job.until
        way.turn.tell("overrun", job.name, f"was finished {late:.0f} s after its window", seconds=late)
    return replace(
        job,
        stage=stage,
        mode=Mode.IDLE,
        reason=why,
        waits="",
        stores=job.stores + 1,
        ending=None,
        since=way.turn.clock,
    )
