"""Takes over a Talos cluster that exists, from its secrets bundle. Reads only: no call changes a node.

What must hold: each declared node answers with a certificate of the bundle's authority, for its own address,
and is what the site file says it is; and etcd has exactly the declared control planes. Then the store says
that the cluster is ready. What configuration the nodes have is not known, and is left as it is.
"""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.app.access import keep_access
from controller.app.bundles import keep_accepted, parse, seal, secrets_name, stored
from controller.app.context import TALOS_PORT
from controller.app.identity import mint
from controller.app.licensing import without_place
from controller.app.ports import EtcdMember, Identity, TalosNode
from controller.app.services import Services
from controller.app.ssh_port import Target
from controller.store import EngineLock
from facts.talos.messages import enum_name
from facts.talos.resources import CURRENT_CLUSTER, CURRENT_TYPE
from inventory.errors import CheckFailed, FleetError, NodeError, OperatorError, RefusedError
from inventory.fleet import Cluster, Fleet, Node
from roles.access import kubeconfig
from roles.authorities import same_but_accepted
from roles.secrets import SecretsBundle

_MEND = "correct the site file, or name the bundle of this cluster; nothing was changed"


@dataclass(frozen=True, slots=True)
class Found:
    """One node as it answered."""

    name: str
    talos: str
    etcd: tuple[EtcdMember, ...] = ()  # as this node lists them; empty for a worker
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    cluster: str
    nodes: tuple[Found, ...]
    notes: tuple[str, ...] = ()


async def adopt(
    services: Services, fleet: Fleet, name: str, bundle_text: str, *, where: str, actor: str
) -> Adopted:
    """Checks everything first; what is recorded is recorded only if all of it held."""
    cluster = fleet.clusters.get(name)
    if cluster is None:
        raise OperatorError(
            f"the site files have no cluster {name!r}", fix=f"they have: {', '.join(fleet.clusters)}"
        )
    bundle = parse(bundle_text, where)
    nodes = fleet.nodes_of(name)
    _may_adopt(services, name, bundle, nodes)
    found = await _read_all(services, bundle, nodes)
    _check_etcd(cluster, nodes, found)
    with EngineLock.acquire(services.home):
        _record(services, fleet, cluster, bundle, found, actor=actor)
    notes = [note for each in found for note in each.notes]
    notes.append("the configuration of its nodes was not delivered by us; it is left as it is")
    return Adopted(name, found, tuple(notes))


def _may_adopt(services: Services, name: str, bundle: SecretsBundle, nodes: Sequence[Node]) -> None:
    if services.store.has_secret(secrets_name(name)) and not same_but_accepted(
        bundle, stored(services, name)
    ):
        raise RefusedError(
            "the store has other secrets for it",
            where=name,
            fix=f"if no machine has those yet: cto secrets import {name} FILE --replace, then adopt it",
        )
    pinned = [node.name for node in nodes if node.host_key]
    if pinned:
        raise RefusedError(
            f"the site file pins SSH host keys of {', '.join(pinned)}, and Talos has no SSH",
            where=name,
            fix="take hostKey out of these nodes",
        )
    for node, refusal in without_place(services, nodes).items():
        raise RefusedError(refusal.reason, where=node, fix=refusal.fix)
    unknown = [node.name for node in nodes if not node.address]
    if unknown:
        raise RefusedError(
            f"no address is known of {', '.join(unknown)}",
            where=name,
            fix="write their address in the site file",
        )


async def _read_all(services: Services, bundle: SecretsBundle, nodes: Sequence[Node]) -> tuple[Found, ...]:
    """Every node, and every reason why not: the operator mends them all at once."""
    identity = mint(services, bundle, ("os:reader",))
    answers = await asyncio.gather(
        *(_read(services, identity, bundle, node) for node in nodes), return_exceptions=True
    )
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    for error in failed:
        if not isinstance(error, FleetError):
            raise error
    if failed:
        raise CheckFailed("; ".join(_sentence(error) for error in failed), where="adopt", fix=_MEND)
    return tuple(answer for answer in answers if isinstance(answer, Found))


def _sentence(error: BaseException) -> str:
    return f"{error.where}: {error.what}" if isinstance(error, FleetError) else str(error)


async def _read(services: Services, identity: Identity, bundle: SecretsBundle, node: Node) -> Found:
    target = Target(node.name, node.address, "", node.ssh_port, node.ssh_user, node.jump)
    address = node.talos_address or node.address
    async with (
        services.ssh.forward(target, TALOS_PORT) as (host, port),
        services.talos.connect(host, port, identity, server_name=address) as talos,
    ):
        version = (await talos.version()).tag.removeprefix("v")
        status = await talos.machine_status()
        kind = await talos.resource(*CURRENT_TYPE)
        if status.stage != "running":
            raise CheckFailed(f"it is {status.stage}, not running", where=node.name)
        named = enum_name("resource.config.MachineType", kind["machine_type"])
        if (named == "WORKER") != (node.role == "worker"):
            shown = named.lower().replace("_", " ")
            raise CheckFailed(f"it is a {shown}, and the site file says {node.role}", where=node.name)
        members = tuple(await talos.etcd_members()) if node.role != "worker" else ()
        await _check_cluster_id(talos, bundle, node)
    return Found(node.name, version, members, tuple(_notes(node, version, status.ready)))


async def _check_cluster_id(talos: TalosNode, bundle: SecretsBundle, node: Node) -> None:
    """Clusters made from one authority differ by their id. One without discovery may show none: it passes."""
    try:
        shown = (await talos.resource(*CURRENT_CLUSTER))["cluster_id"]
    except NodeError as error:
        if error.retryable:
            raise
        return
    if shown and shown != bundle.cluster_id:
        raise CheckFailed(
            "it belongs to another cluster: its cluster id is not the bundle's", where=node.name
        )


def _notes(node: Node, version: str, ready: bool) -> Iterator[str]:
    if node.image.talos and node.image.talos != version:
        yield f"{node.name} runs Talos {version}; the site file says {node.image.talos}"
    if not ready:
        yield f"{node.name} runs, but says that it is not ready"


def _check_etcd(cluster: Cluster, nodes: Sequence[Node], found: Sequence[Found]) -> None:
    planes = [node.name for node in nodes if node.role != "worker"]
    lists = {frozenset(m.id for m in each.etcd) for each in found if each.name in planes}
    if len(lists) != 1:
        raise CheckFailed(
            "its control planes do not list the same etcd members", where=cluster.name, fix=_MEND
        )
    members = next(each.etcd for each in found if each.name in planes)
    if len(members) != len(planes) or any(member.is_learner for member in members):
        listed = ", ".join(sorted(m.hostname + (" (learner)" if m.is_learner else "") for m in members))
        raise CheckFailed(
            f"etcd has the members {listed}; the site file declares {', '.join(planes)}",
            where=cluster.name,
            fix=_MEND,
        )


def _record(
    services: Services,
    fleet: Fleet,
    cluster: Cluster,
    bundle: SecretsBundle,
    found: Sequence[Found],
    *,
    actor: str,
) -> None:
    """Secrets first: a cluster that is recorded as ours must be one that we can reach."""
    services.store.declare(fleet, actor=actor)
    if not services.store.has_secret(secrets_name(cluster.name)):
        seal(services, cluster.name, bundle, actor=actor)
    bundle = keep_accepted(services, cluster.name, bundle.accepted, actor=actor)
    services.bundles[cluster.name] = bundle
    now = services.clock.now()
    text = kubeconfig(bundle, cluster.name, cluster.endpoint, now=now, random_bytes=secrets.token_bytes)
    keep_access(services, cluster.name, text.encode())
    planes = [each.name for each in found if each.etcd]
    services.store.adopt(
        cluster.name,
        {each.name: each.talos for each in found},
        first=planes[0],
        actor=actor,
        reason="its nodes answered with the cluster's certificates",
    )
