"""What follows from what a node shows: its boot id, version and health. Pure; sends nothing by itself."""

from controller.core.rollout.evolve import replace
from controller.core.rollout.messages import NodeView
from controller.core.rollout.model import TERMINAL, Hop, HopKind, Mode, NodeJob, Stage
from controller.core.rollout.node import Way, begin, done, fail
from controller.core.rollout.routes import BOOTS

_KUBERNETES = (HopKind.CONTROL_PLANE, HopKind.KUBELET)


def shows(hop: Hop, view: NodeView, version: str) -> bool:
    """Whether the node shows `version` in the part that this hop changes."""
    if hop.kind is HopKind.KUBELET:
        return view.kubelet == version
    if hop.kind is HopKind.CONTROL_PLANE:
        return view.apiserver == version
    same_system = version != hop.version or not hop.schematic or view.schematic == hop.schematic
    return view.talos == version and same_system


def returned(hop: Hop, view: NodeView, source: str) -> bool:
    """Whether the node shows what it ran before the hop; if the version stays, the schematic tells."""
    if source != hop.version:
        return shows(hop, view, source)
    return view.talos == source and view.schematic != hop.schematic


def rebooted(hop: Hop, job: NodeJob, view: NodeView) -> bool:
    return hop.kind in _KUBERNETES or (view.boot_id not in ("", job.boot_id))


def seen(way: Way, job: NodeJob, view: NodeView, at: float) -> NodeJob:
    """A read of the node."""
    if at < job.seen_at or at > way.turn.now + 1 or job.stage in TERMINAL:
        return job
    gap = way.turn.clock - job.seen_clock > 6 * way.turn.timing.look
    job = replace(job, seen_at=at)
    if not view.reachable:
        return replace(job, green_since=-1.0, waits=view.problem or "it does not answer")
    job = replace(
        job,
        seen_clock=way.turn.clock,
        talos=view.talos or job.talos,
        kubernetes=view.kubelet or job.kubernetes,
        schematic=view.schematic or job.schematic,
    )
    return _shown(way, job, view, gap=gap) if job.mode is Mode.POLLING else job


def _shown(way: Way, job: NodeJob, view: NodeView, *, gap: bool) -> NodeJob:
    """Boot ids make the order in which reads arrive irrelevant."""
    if job.step == "soak":
        return _soak(way, job, view, restart=gap)
    if not rebooted(way.hop, job, view):
        return replace(job, waits="it has not restarted yet")
    if job.stage is Stage.ROLLING_BACK:
        return _returned(way, job, view)
    if job.step in BOOTS:
        job = begin(way, job, "verify")
    return _verify(way, job, view) if job.step == "verify" else job


def _well(view: NodeView) -> bool:
    return view.ready and view.healthy


def _verify(way: Way, job: NodeJob, view: NodeView) -> NodeJob:
    if shows(way.hop, view, way.hop.version):
        if _well(view):
            return done(way, job)
        return replace(job, waits=view.problem or "it is not healthy yet")
    talos = way.hop.kind in (HopKind.TALOS, HopKind.TALOS_LEGACY)
    if talos and returned(way.hop, view, job.source):
        why = f"it came back with {job.source} by itself"
        return fail(way, job, Stage.ROLLED_BACK, why)
    return replace(job, waits=f"it does not show {way.hop.version} yet")


def _soak(way: Way, job: NodeJob, view: NodeView, *, restart: bool) -> NodeJob:
    if not (_well(view) and shows(way.hop, view, way.hop.version)):
        return replace(job, green_since=-1.0, waits=view.problem or "it is not healthy")
    if job.green_since < 0 or restart:
        return replace(job, green_since=way.turn.clock, waits="it must stay healthy")
    if way.turn.clock - job.green_since >= way.turn.timing.soak:
        return done(way, job)
    return job


def _returned(way: Way, job: NodeJob, view: NodeView) -> NodeJob:
    if returned(way.hop, view, job.source) and _well(view):
        return fail(way, job, Stage.ROLLED_BACK, job.reason)
    return replace(job, waits=view.problem or f"it is not healthy with {job.source} yet")
