"""The engine: walks nodes and clusters through their steps, durably. Knows no step's insides and no window.

For each step: write the intent, act, observe, record. A second attempt observes first (ADR 7), so one
code path serves a crash, a lost connection, Ctrl-C and a retry.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

from controller.app.context import ClusterJob, NodeJob
from controller.app.crash import crash_point
from controller.app.services import Services
from controller.app.steps.registry import CLUSTER_STEPS, NODE_STEPS
from controller.store import Kind, Outcome, StepRef
from inventory.errors import CheckFailed, FleetError, Unreachable
from inventory.lifecycle import CLUSTER_TRANSITIONS, ClusterState, NodeState, Transition, remaining

# From here on a control plane is on its way into etcd, which takes them one at a time.
JOINING = (NodeState.BOOT_SET, NodeState.BOOTING, NodeState.JOINED, NodeState.CLEANED)
ATTEMPTS = 3  # of one step in one run, for errors that may pass
J = TypeVar("J", NodeJob, ClusterJob)


async def perform(
    services: Services, run: str, kind: Kind, name: str, step: str, code: Any, job: Any
) -> None:
    """One attempt at one step. Raises what the step raised, after recording it."""
    crash_point(step, "before_intent", name)
    intent: Mapping[str, Any] = await code.intent(job)
    started = services.store.begin(StepRef(run, kind, name, step), detail=dict(intent))
    crash_point(step, "after_intent", name)
    try:
        found = None
        if started.attempt > 1 and not code.repeatable:
            found = await code.observe(job)
        if found is None:
            acted = await code.act(job)
            crash_point(step, "after_effect", name)
            seen = await code.observe(job)
            if seen is None:
                raise CheckFailed(
                    f"{step} ran without an error, but a fresh read does not show its effect",
                    where=name,
                    fix="see cto events; run cto apply again",
                )
            found = {**acted, **seen}
    except asyncio.CancelledError:
        services.store.finish(started, outcome="cancelled", detail={})
        raise
    except FleetError as error:
        outcome: Outcome = "indeterminate" if isinstance(error, Unreachable) else "failed"
        services.store.finish(
            started, outcome=outcome, detail=describe(error), problem=problem_text(error, name)
        )
        raise
    crash_point(step, "after_observe", name)
    services.store.finish(started, outcome="done", detail={}, record=dict(found))
    if kind == "node":
        services.store.touch(name, talos=str(found.get("talos", "")), profile=str(found.get("profile", "")))


def describe(error: FleetError) -> dict[str, Any]:
    """What is stored of an error: never a traceback, never a secret (messages are composed from values)."""
    return {"slug": error.slug, "what": error.what, "where": error.where, "fix": error.fix}


def problem_text(error: FleetError, name: str) -> str:
    """How an error stands on its node or cluster: whose it is need not be said again."""
    where = "" if error.where == name else error.where.removeprefix(f"{name}: ")
    head = f"{where}: {error.what}" if where else error.what
    return f"{head}\n  → {error.fix}" if error.fix else head


async def insist(services: Services, run: str, kind: Kind, name: str, step: str, code: Any, job: Any) -> None:
    """`perform` with a few attempts where the error may pass; verified failures are never repeated."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await perform(services, run, kind, name, step, code, job)
        except FleetError as error:
            if not error.retryable or attempt == ATTEMPTS:
                raise
            await services.clock.sleep(0.5 * 2**attempt)
        else:
            return


async def drive_node(job: NodeJob, transitions: tuple[Transition, ...] | None = None) -> None:
    """Takes one node to READY (or through `transitions`), telling its cluster when it joined."""
    ahead = remaining(job.state) if transitions is None else transitions
    waits = job.growth
    for transition in ahead:
        if waits is not None and transition.source in JOINING:
            await waits.turn(job)
            waits = None
        if job.state in (NodeState.JOINED, NodeState.CLEANED, NodeState.READY):
            _tell(job)
        await insist(
            job.services, job.run, "node", job.node.name, transition.step, NODE_STEPS[transition.step], job
        )
    _tell(job)


def _tell(job: NodeJob) -> None:
    if job.node.role != "worker" and job.state in (NodeState.JOINED, NodeState.CLEANED, NodeState.READY):
        job.gate.first_joined.set()


async def drive_cluster(job: ClusterJob, *, whole: bool, again: bool) -> None:
    """Takes one cluster to READY.

    `whole`: every member is in this run or ready already, so that the cluster can be
    verified; `again`: a READY one whose members change is verified afresh.
    """
    state = ClusterState(job.row.state)
    order = [t.source for t in CLUSTER_TRANSITIONS]
    if state in (ClusterState.BOOTSTRAPPED, ClusterState.ACCESSIBLE, ClusterState.READY):
        job.gate.bootstrapped.set()
    if state is ClusterState.READY:
        if not (again and whole):
            return
        state = ClusterState.ACCESSIBLE
        job.services.store.move_cluster(job.cluster.name, state, reason="its members change", actor="engine")
    for transition in CLUSTER_TRANSITIONS[order.index(state) :]:
        step = transition.step
        if step == "verify-cluster" and not whole:
            return
        await insist(job.services, job.run, "cluster", job.cluster.name, step, CLUSTER_STEPS[step], job)
        if step == "bootstrap":
            job.gate.bootstrapped.set()
