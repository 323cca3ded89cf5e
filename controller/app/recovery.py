"""`cto cluster recover`: etcd from a snapshot, once its quorum is lost. The exact plan first, then a run.

Every control plane that answers loses its etcd data; one of them gets the snapshot and starts etcd with it;
the others join that one. A machine that does not answer is told apart: it must not come back as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.app.context import ClusterJob, Limits, NodeJob
from controller.app.engine import describe, insist, problem_text
from controller.app.etcd_reading import LIVE, Sign, refuse_with_quorum, signs
from controller.app.removal import verify_again
from controller.app.services import Services
from controller.app.snapshots import find, open_snapshot
from controller.app.steps.registry import CLUSTER_ACTS
from controller.app.stored import stored_jobs
from controller.core.etcd_snapshot import Contents
from controller.core.plan import Verdict, judge
from controller.store import ClusterRow
from inventory.errors import CheckFailed, FleetError, OperatorError, RefusedError
from inventory.lifecycle import ClusterState, NodeState

_PLANES = (NodeState.BOOTING, *LIVE)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What would be done, in words, and what the run is told."""

    lines: tuple[str, ...]
    order: Mapping[str, Any]


async def describe_recovery(services: Services, name: str, named: str) -> Recovery:
    """Asks every control plane afresh. Raises RefusedError while etcd has a quorum."""
    cluster = _known(services, name)
    path, row = find(services, named)
    with open_snapshot(services, path) as opened:
        found = opened.inspect()
    if row is not None and (row.cluster != name or row.sha256 != found.sha256):
        what = f"this is a snapshot of {row.cluster}" if row.cluster != name else "its file was exchanged"
        raise RefusedError(what, where=named, fix=f"see cto etcd list {name}")
    planes = planes_of(stored_jobs(services, cluster, Limits.default()))
    seen = await signs(planes)
    refuse_with_quorum(seen, name)
    answering = [member for member, sign in seen.items() if sign is not Sign.SILENT]
    silent = [member for member in seen if member not in answering]
    if not answering:
        fix = "power one of them on; if none can be: reset them all and let cto apply make a new cluster"
        raise CheckFailed("none of its control planes answers", where=name, fix=fix)
    since = (
        f"taken {row.taken_at} from {row.node}"
        if row
        else "of unknown origin: be sure that it is this cluster's"
    )
    lines = _lines(found, since, answering, silent)
    order = {
        "cluster": name,
        "snapshot": str(path.absolute()),
        "sha256": found.sha256,
        "nodes": answering,
        "silent": silent,
    }
    return Recovery(lines, order)


def _lines(found: Contents, since: str, answering: Sequence[str], silent: Sequence[str]) -> tuple[str, ...]:
    first, others = answering[0], answering[1:]
    lines = [
        f"the snapshot {since}, {found.keys} keys at revision {found.revision}; what came after it is lost",
        *(
            f"{name}: its etcd data and all else in EPHEMERAL (logs, pods' local data) is wiped; it reboots"
            for name in answering
        ),
        f"{first}: gets the snapshot and starts etcd with it",
        *(f"{name}: joins etcd there" for name in others),
        *(
            f"{name}: does not answer, and is a member no more; with its old data it must not come back:"
            f" cto node remove {name} --dead"
            for name in silent
        ),
    ]
    return tuple(lines)


def _known(services: Services, name: str) -> ClusterRow:
    row = services.store.cluster(name)
    if row is None:
        known = ", ".join(each.name for each in services.store.clusters()) or "none yet"
        raise OperatorError(f"no cluster {name!r} is known here", fix=f"known: {known}")
    if row.state in (ClusterState.PLANNED, ClusterState.JOINED):
        raise RefusedError("its etcd was never started", where=name, fix="run cto apply")
    return row


def planes_of(jobs: Sequence[NodeJob]) -> list[NodeJob]:
    return [job for job in jobs if job.node.role != "worker" and job.state in _PLANES]


async def execute_recovery(services: Services, run: str, body: Mapping[str, Any]) -> Verdict:
    """One queued run. Never raises for what a node did."""
    name = str(body["cluster"])
    subject = f"cluster/{name}"
    try:
        await _recover(services, run, name, body)
    except FleetError as error:
        services.store.set_problem(subject, problem_text(error, name))
        return judge(done=0, failed={subject: str(describe(error)["what"])})
    return judge(done=1, failed={})


async def _recover(services: Services, run: str, name: str, body: Mapping[str, Any]) -> None:
    jobs = stored_jobs(services, _known(services, name), Limits.default(), run=run)
    job = ClusterJob(services, run, jobs[0].cluster, jobs[0].gate, jobs, body)
    await insist(services, run, "cluster", name, "recover", CLUSTER_ACTS["recover"], job)
    silent = ", ".join(body["silent"])
    if silent:
        fix = f"cto node remove {body['silent'][0]} --dead; then replace it"
        services.store.set_problem(f"cluster/{name}", f"recovered without {silent}\n  → {fix}")
        return
    await verify_again(job)
