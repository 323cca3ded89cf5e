"""Moves the Kubernetes endpoint of a cluster in use without losing access to it.

Certificates for both addresses come first, then a look that the API answers at the new one with such a
certificate, then the nodes' configurations and the kubeconfig. The old address stays in the certificates:
files that people copied go on working as long as something listens there.
"""

import secrets
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from controller.app.access import keep_access
from controller.app.cluster_windows import refuse_closed
from controller.app.context import ClusterJob, NodeJob
from controller.app.desired import Desired, bundle_of, desire
from controller.app.disruption import alone
from controller.app.endpoint import endpoint_in_use, with_names
from controller.app.engine import describe, drive_node, insist, problem_text
from controller.app.services import Services
from controller.app.steps.base import Patience
from inventory.errors import CheckFailed, FleetError, NodeError, RefusedError
from inventory.fleet import Cluster
from inventory.lifecycle import RECONFIGURE_PATH, NodeState, remaining
from roles.access import kubeconfig

_ANSWER_SECONDS = 180
_SECONDS, _EACH = 60, 2 * RECONFIGURE_PATH[0].seconds  # as a window counts it: in all, and for each node


async def move_endpoint(run: str, cluster: Cluster, jobs: Sequence[NodeJob]) -> bool:
    """Before anything else happens to a cluster in use: False if there was nothing to move.

    `jobs` are those of all its nodes. Raises what stood in the way; then nothing is lost, and another run
    goes on.
    """
    if not jobs or not moves(jobs[0].services, cluster):
        return False
    if any(job.record.get("adopted") for job in jobs):
        return False  # their configuration is their own; its changes are delivered one by one
    services, name = jobs[0].services, cluster.name
    before = endpoint_in_use(services, name)
    detail = {"before": before, "after": cluster.endpoint}
    act = ClusterJob(services, run, cluster, jobs[0].gate, tuple(jobs), detail)
    async with alone(services, name):
        await insist(services, run, "cluster", name, "move-endpoint", MoveEndpoint(), act)
    keep_access(services, name, kubeconfig_for(act, cluster.endpoint))
    text = f"the Kubernetes API is at {cluster.endpoint} from now on; {before} stays in the certificates"
    services.store.event("EndpointMoved", f"cluster/{name}", text, detail)
    return True


async def settle_endpoint(
    run: str,
    cluster: Cluster,
    jobs: Sequence[NodeJob],
    chosen: Collection[str],
    failed: MutableMapping[str, dict[str, Any]],
) -> bool:
    """Whether the cluster is where its nodes are to look for it. If not, they are left as they are, and what
    stood in the way is put into `failed`. `chosen`: the nodes that this run may change.
    """
    try:
        left_out = [j.node.name for j in jobs if j.state is NodeState.READY and j.node.name not in chosen]
        if left_out and moves(jobs[0].services, cluster):
            what = f"its endpoint moves, and {', '.join(left_out)} is left out"
            raise RefusedError(what, where=cluster.name, fix="let the run include the whole cluster")
        if jobs and moves(jobs[0].services, cluster) and not begun(jobs[0].services, cluster):
            refuse_closed(jobs[0].services, cluster.name, _SECONDS + _EACH * len(jobs))
        await move_endpoint(run, cluster, jobs)
    except FleetError as error:
        subject = f"cluster/{cluster.name}"
        failed[subject] = describe(error)
        jobs[0].services.store.set_problem(subject, problem_text(error, cluster.name))
        return False
    return True


def moves(services: Services, cluster: Cluster) -> bool:
    """Is a cluster that is in use to be found elsewhere than now?"""
    row, before = services.store.cluster(cluster.name), endpoint_in_use(services, cluster.name)
    return row is not None and row.in_use and before not in ("", cluster.endpoint)


def begun(services: Services, cluster: Cluster) -> bool:
    """By an earlier run that did not come to its end: that is finished, whatever the time."""
    steps = [s for s in services.store.steps(f"cluster/{cluster.name}") if s.ref.step == "move-endpoint"]
    return bool(steps) and steps[-1].outcome != "done"


class MoveEndpoint:
    """The step, up to the nodes. The kubeconfig follows once it is recorded which addresses there were."""

    repeatable = False

    async def intent(self, job: ClusterJob) -> Mapping[str, Any]:
        return job.detail

    async def act(self, job: ClusterJob) -> Mapping[str, Any]:
        if await self.observe(job) is not None:
            return {}
        for begun in (m for m in job.members if m.state is NodeState.CLEANED):
            begun.desired = _desired(begun, _moved(job))  # for its version; it is only verified
            await drive_node(begun, remaining(NodeState.CLEANED))
        before, after = str(job.detail["before"]), str(job.detail["after"])
        both = with_names(replace(job.cluster, endpoint=before), (*_former(job), after))
        for plane in (m for m in _ready(job) if m.node.role != "worker"):
            await _deliver(plane, both)
        await self._answers(job, kubeconfig_for(job, after), after)
        for member in _ready(job):
            await _deliver(member, _moved(job))
        return {}

    async def observe(self, job: ClusterJob) -> Mapping[str, Any] | None:
        if any(m.state is NodeState.CLEANED for m in job.members):
            return None  # an earlier delivery was not seen to its end
        wanted = {m.node.name: _desired(m, _moved(job)) for m in _ready(job)}
        there = all(wanted[m.node.name].config.digest == m.record.get("config_digest") for m in _ready(job))
        return {"former_endpoints": _former(job)} if there else None

    @staticmethod
    async def _answers(job: ClusterJob, config: bytes, endpoint: str) -> None:
        """By the way that people will take, with a certificate that is good for it."""
        parts, ready = urlsplit(endpoint), _ready(job)
        if not ready:
            what, fix = "none of its nodes is ready", "see cto cluster show"
            raise CheckFailed(what, where=job.cluster.name, fix=fix)
        way = replace(ready[0].target, address=parts.hostname or "")
        services = job.services

        async def there() -> bool | str:
            try:
                async with services.ssh.forward(way, parts.port or 443) as (host, port):
                    return bool(await services.kube.version(config, host=host, port=port))
            except NodeError as error:  # also while its API server still shows the old certificate
                return error.what

        fix = (
            "let the load balancer or the shared address lead to the control planes; then run cto apply again"
        )
        await Patience(services.clock, _ANSWER_SECONDS).until(there, where=endpoint, fix=fix)


def kubeconfig_for(job: ClusterJob, endpoint: str) -> bytes:
    """Made from the cluster's secrets, as the one was that is to be replaced."""
    bundle, now = bundle_of(job.services, job.cluster.name), job.services.clock.now()
    made = kubeconfig(bundle, job.cluster.name, endpoint, now=now, random_bytes=secrets.token_bytes)
    return made.encode()


def _former(job: ClusterJob) -> list[str]:
    """What the endpoint was before, the one that is left now included."""
    told: Sequence[str] = job.row.record.get("former_endpoints", ())
    before = str(job.detail["before"])
    return [*(one for one in told if one != before), before]


def _moved(job: ClusterJob) -> Cluster:
    return with_names(job.cluster, _former(job))


def _ready(job: ClusterJob) -> list[NodeJob]:
    """Control planes first. The others get their configuration when they are installed."""
    found = [m for m in job.members if m.state is NodeState.READY and not m.record.get("adopted")]
    return sorted(found, key=lambda m: m.node.role == "worker")


async def _deliver(job: NodeJob, cluster: Cluster) -> None:
    """The node's configuration as it is with this cluster; nothing if it has that."""
    desired = _desired(job, cluster)
    if desired.config.digest != job.record.get("config_digest"):
        job.desired = desired
        await drive_node(job, RECONFIGURE_PATH)


def _desired(job: NodeJob, cluster: Cluster) -> Desired:
    fleet = replace(job.fleet, clusters={**job.fleet.clusters, cluster.name: cluster})
    desired = desire(job.services, fleet, job.node)
    if desired.rendered is None:
        first = desired.refusals[0]
        raise RefusedError(first.reason, where=job.node.name, fix=first.fix)
    return desired
