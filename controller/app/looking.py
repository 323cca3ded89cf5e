"""A look at a cluster for people: etcd's members with their roles, and which nodes are cordoned; kept.

Decides and repairs nothing. What can't be read is told as that, or left to grow old.
"""

from collections.abc import Sequence
from typing import Any

from controller.app.context import NodeJob
from controller.app.etcd_reading import LIVE, Seen, read_etcd
from controller.app.services import Services
from controller.core.rollout.messages import ClusterSeen
from inventory.errors import FleetError


async def look(services: Services, cluster: str, jobs: Sequence[NodeJob]) -> None:
    """`jobs`: of all its nodes."""
    planes = [job for job in jobs if job.node.role != "worker" and job.state in LIVE]
    if not planes:
        return
    seen = await read_etcd(services, planes)
    services.store.note_etcd(cluster, told(seen, services))
    answering = {answer.name for answer in seen.answers if answer.status is not None}
    await _note_cordons(services, cluster, sorted(planes, key=lambda job: job.node.name not in answering))


def told(seen: Seen, services: Services) -> dict[str, Any]:
    """As the store keeps it. Without a list of members: what each control plane said instead."""
    said = {answer.status.leader for answer in seen.answers if answer.status is not None}
    leader = said.pop() if len(said) == 1 else 0  # of two opinions none is shown
    reading = seen.reading(services)
    members = [
        {
            "name": read.name,
            "leader": member.id == leader,
            "learner": read.learner,
            "problem": read.problem,
        }
        for member, read in zip(seen.members, reading.members, strict=True)
    ]
    silent = {answer.name: answer.problem or "its etcd does not answer" for answer in seen.answers}
    return {
        "members": members,
        "agree": seen.agree,
        "asked": len(seen.answers),
        "silent": {} if members else silent,
    }


def keep_seen(services: Services, seen: ClusterSeen) -> None:
    """What a rollout read for itself. Where it could not read something, the last look stays, and ages."""
    if seen.members:
        members = [
            {
                "name": read.name,
                "leader": read.name == seen.leader,
                "learner": read.learner,
                "problem": read.problem,
            }
            for read in seen.members
        ]
        planes = sum(row.role != "worker" for row in services.store.nodes(cluster=seen.cluster))
        services.store.note_etcd(
            seen.cluster, {"members": members, "agree": seen.endpoints, "asked": planes, "silent": {}}
        )
    if not seen.problem:
        services.store.note_cordons(seen.cluster, [node.name for node in seen.nodes if node.cordoned])


async def _note_cordons(services: Services, cluster: str, planes: Sequence[NodeJob]) -> None:
    """By the first control plane through which Kubernetes answers; by none, the last look stays, and ages."""
    secret = f"cluster/{cluster}/kubeconfig"
    if not services.store.has_secret(secret):
        return
    for job in planes:
        try:
            kubeconfig = services.store.get_secret(secret)
            async with services.ssh.forward(job.target, 6443) as (host, port):
                nodes = await services.kube.node_states(kubeconfig, host=host, port=port)
        except FleetError:
            continue  # the next one may answer
        services.store.note_cordons(cluster, [node.name for node in nodes if node.unschedulable])
        return
