"""Fresh reads of nodes and clusters, as the rollout's decisions want them. Changes nothing, judges little.

Each node has as long as `Reach.patience` says.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from controller.app.kube_port import KubeNode, Lease, Pod
from controller.app.ports import EtcdMember, TalosNode
from controller.app.talos_port import EtcdStatus
from controller.app.upgrade.reach import Reach
from controller.core.quorum import MemberRead
from controller.core.rollout.messages import ClusterSeen, NodeSeen, NodeView
from inventory.errors import FleetError

SYSTEM = "kube-system"
LEASE = "cto-disruption"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_QUOTAS = (2 << 30, 8 << 30)  # of etcd's database: its default, and the most that it advises
_DOWN = ("rebooting", "shutting-down", "resetting", "upgrading", "booting", "installing")


@dataclass(frozen=True, slots=True)
class _Etcd:
    members: Sequence[EtcdMember]
    status: EtcdStatus
    alarms: Mapping[int, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Talos:
    """What one node itself says; `problem` if it says nothing."""

    version: str = ""
    schematic: str = ""
    boot_id: str = ""
    stage: str = ""
    ill: str = ""
    etcd: _Etcd | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Kube:
    nodes: Mapping[str, KubeNode]
    pods: Sequence[Pod] = ()
    lease: Lease = field(default_factory=Lease)
    problem: str = ""


async def look_at_node(reach: Reach, name: str, *, static: bool, schematic: bool = False) -> NodeSeen:
    """`static`: with the versions of its static pods; `schematic`: with what its image was made from."""
    at = reach.services.clock.now().timestamp()
    planes = {row.name for row in reach.rows.values() if row.role != "worker"}
    talos, kube = await asyncio.gather(
        _talos(reach, name, etcd=name in planes, schematic=schematic),
        _kube(reach, pods=static, lease=False, but=name),
    )
    return NodeSeen(reach.cluster, at, _view(name, talos, kube, plane=name in planes))


async def look_at_cluster(reach: Reach, holder: str, *, schematic: bool = False) -> ClusterSeen:
    """Everything the guard and the health gates need. `holder`: this controller's name on leases."""
    at = reach.services.clock.now().timestamp()
    rows = reach.rows
    planes = [row.name for row in rows.values() if row.role != "worker"]
    kube_read = asyncio.ensure_future(_kube(reach, pods=True, lease=True))
    found = await asyncio.gather(
        *(_talos(reach, name, etcd=name in planes, schematic=schematic) for name in rows)
    )
    kube = await kube_read
    talos = dict(zip(rows, found, strict=True))
    etcd = {name: talos[name].etcd for name in planes}
    agreed, endpoints = _agreed([one for one in etcd.values() if one is not None])
    lease_holder = kube.lease.holder if kube.lease.until > at else ""
    return ClusterSeen(
        cluster=reach.cluster,
        at=at,
        nodes=tuple(_view(name, talos[name], kube, plane=name in planes) for name in rows),
        members=tuple(_member(one, agreed, etcd, kube, talos) for one in agreed),
        endpoints=endpoints,
        leader=_leader([one for one in etcd.values() if one is not None], agreed),
        system_ready=_system_ready(kube),
        holder="" if lease_holder == holder else lease_holder,
        problem=kube.problem,
    )


async def _talos(reach: Reach, name: str, *, etcd: bool, schematic: bool) -> _Talos:
    try:
        async with asyncio.timeout(reach.patience), reach.reading(name) as node:
            version, made_from, status, services, boot_id, members = await asyncio.gather(
                node.version(),
                node.schematic() if schematic else _nothing(),
                node.machine_status(),
                node.services(),
                node.boot_id(),
                _etcd(reach, node) if etcd else _nothing(),
            )
    except FleetError as error:
        return _Talos(problem=error.what)
    except TimeoutError:
        return _Talos(problem=f"no answer within {reach.patience:g} s")
    sick = sorted(one for one, state in services.items() if state.endswith("/unhealthy"))
    ill = f"unhealthy services: {', '.join(sick)}" if sick else ""
    if status.stage != "running":
        ill = f"it is {status.stage}"
    elif not status.ready and not ill:
        # That its kubelet is not ready is Kubernetes' word, which is asked for as well.
        ill = "; ".join(one for one in status.unmet if not one.startswith("nodeReady"))
    return _Talos(version.tag.removeprefix("v"), made_from or "", boot_id, status.stage, ill, members)


async def _nothing() -> None:
    return None


async def _etcd(reach: Reach, node: TalosNode) -> _Etcd | None:
    """None: its etcd does not answer."""
    began = reach.services.clock.monotonic()
    try:
        members = await node.etcd_members()
        seconds = reach.services.clock.monotonic() - began
        status, alarms = await asyncio.gather(node.etcd_status(), node.etcd_alarms())
    except FleetError:
        return None
    return _Etcd(members, status, {one.member_id: one.alarm for one in alarms}, seconds)


async def _kube(reach: Reach, *, pods: bool, lease: bool, but: str = "") -> _Kube:
    kube = reach.services.kube

    async def ask(kubeconfig: bytes, host: str, port: int) -> _Kube:
        async def system() -> Sequence[Pod]:
            return await kube.pods(kubeconfig, namespace=SYSTEM, host=host, port=port) if pods else ()

        async def held() -> Lease:
            return await kube.lease(kubeconfig, SYSTEM, LEASE, host=host, port=port) if lease else Lease()

        nodes, found, holder = await asyncio.gather(
            kube.node_states(kubeconfig, host=host, port=port), system(), held()
        )
        return _Kube({node.name: node for node in nodes}, found, holder)

    try:
        async with asyncio.timeout(reach.patience + 0.5):
            return await reach.kube(ask, but=but)
    except FleetError as error:
        return _Kube({}, problem=f"Kubernetes API: {error.what}")
    except TimeoutError:
        return _Kube({}, problem="Kubernetes API: no answer in time")


def _view(name: str, talos: _Talos, kube: _Kube, *, plane: bool) -> NodeView:
    node = kube.nodes.get(name)
    etcd_ill = "its etcd does not answer" if plane and talos.etcd is None and not talos.problem else ""
    ready = node is not None and node.ready
    apiserver, static = _static(name, kube.pods) if plane and kube.pods else ("", "")
    absent = kube.problem or ("" if ready else "not Ready in Kubernetes")
    return NodeView(
        name=name,
        reachable=not talos.problem,
        talos=talos.version,
        kubelet=node.version.removeprefix("v") if node is not None else "",
        apiserver=apiserver,
        schematic=talos.schematic,
        boot_id=talos.boot_id,
        ready=ready,
        healthy=not (talos.problem or talos.ill or etcd_ill),
        cordoned=node is not None and node.unschedulable,
        problem=talos.problem or talos.ill or etcd_ill or absent or static,
    )


def _static(name: str, pods: Sequence[Pod]) -> tuple[str, str]:
    """(version of its control plane, what is wrong): all three components run it and are ready."""
    own = {one: pod for pod in pods if pod.node == name for one in pod.images if one in COMPONENTS}
    missing = [one for one in COMPONENTS if one not in own or not own[one].ready]
    tags = {pod.images[one].rpartition(":")[2].removeprefix("v") for one, pod in own.items()}
    if missing or len(tags) != 1:
        return "", f"static pods not ready: {', '.join(missing) or 'of different versions'}"
    return tags.pop(), ""


def _agreed(etcd: Sequence[_Etcd]) -> tuple[Sequence[EtcdMember], int]:
    """The membership that most endpoints tell of, and how many do."""
    by_set: dict[frozenset[tuple[int, bool]], list[_Etcd]] = {}
    for one in etcd:
        by_set.setdefault(frozenset((m.id, m.is_learner) for m in one.members), []).append(one)
    if not by_set:
        return (), 0
    most = max(by_set.values(), key=len)
    return most[0].members, len(most)


def _leader(etcd: Sequence[_Etcd], members: Sequence[EtcdMember]) -> str:
    """The node that all who answer call their leader."""
    said = {one.status.leader for one in etcd}
    if len(said) != 1:
        return ""
    leader = said.pop()
    return next((m.hostname for m in members if m.id == leader), "")


def _member(
    member: EtcdMember,
    members: Collection[EtcdMember],
    etcd: Mapping[str, _Etcd | None],
    kube: _Kube,
    talos: Mapping[str, _Talos],
) -> MemberRead:
    name = member.hostname
    own, node = etcd.get(name), kube.nodes.get(name)
    told = talos.get(name, _Talos())
    busy = told.stage in _DOWN or (node is not None and node.unschedulable)
    if own is None or own.status.member_id != member.id:
        return MemberRead(name, started=False, learner=member.is_learner, busy=busy)
    known = {m.id for m in members}
    alarms = tuple(sorted(alarm for id_, alarm in own.alarms.items() if id_ == member.id or id_ not in known))
    newest = max(one.status.raft_index for one in etcd.values() if one is not None)
    size = own.status.db_size
    quota = next((q for q in _QUOTAS if size <= q), size or 1)
    return MemberRead(
        name,
        started=True,
        learner=member.is_learner or own.status.is_learner,
        read_seconds=None if own.status.errors and not alarms else own.seconds,
        alarms=alarms,
        lag=max(0, newest - own.status.raft_applied_index),
        free_percent=100 - size * 100 // quota,
        busy=busy,
    )


def _system_ready(kube: _Kube) -> bool:
    """Pods of kube-system on nodes that are in service."""
    if kube.problem:
        return False
    serving = {name for name, node in kube.nodes.items() if node.ready and not node.unschedulable}
    wanted = [pod for pod in kube.pods if not pod.finished and not pod.deleting]
    return all(pod.ready for pod in wanted if pod.node in serving or not pod.node)
