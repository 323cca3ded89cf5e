"""What the nodes of one lab cluster know of each other: etcd membership, Kubernetes nodes.

Stands for etcd, discovery and the network between the nodes. Holds no data of etcd and elects no leader
by raft: the first running voter leads until it stops or forfeits.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from iso.lab.kube_longhorn import Longhorn
from iso.lab.kube_objects import KubeObjects
from iso.lab.talos.pki import Pair, random_id


class Signal:
    """Wakes everyone who waits for a condition that depends on the lab's state."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._event.wait()


@dataclass(slots=True)
class Member:
    id: int
    hostname: str
    address: str
    learner: bool = True
    running: bool = False
    lost: bool = False  # its disk was wiped: it can never come back, but the others still count it


@dataclass(slots=True)
class KubeNodeState:
    """One Node object. `ready` is what its kubelet last reported."""

    name: str
    address: str
    control_plane: bool
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = False
    unschedulable: bool = False
    components: Mapping[str, str] = field(default_factory=dict)  # static pods: name → image
    cordoned_by_talos: bool = False  # for an upgrade: Talos takes it back by itself
    uid: str = ""
    revision: int = 1


class Cluster:
    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.members: dict[int, Member] = {}
        self.term = 0  # rises with every change of the membership
        self.replicas: dict[int, Callable[[], None]] = {}  # by member: writes the membership to its disk
        self.sick: dict[int, Callable[[], bool]] = {}  # by member: does it run, but badly?
        self.alarms: dict[int, str] = {}  # by member: NOSPACE, CORRUPT
        self.raft_term = 1
        self._leader = 0
        self.upgrading = False  # the lock that legacy upgrades of control planes take in etcd
        self.nodes: dict[str, KubeNodeState] = {}
        self.joining = asyncio.Lock()  # etcd takes one learner at a time
        self.api_servers = 0  # kube-apiservers that serve now
        self.admin: Pair | None = None  # of the kubeconfig, made once
        self.revision = 1
        self.objects: dict[tuple[str, str, str], Any] = {}  # of inline manifests: kind, namespace, name
        self.database = b""  # that etcd was recovered from
        self.workloads = KubeObjects(self)
        self.longhorn = Longhorn(self)
        self.network = False  # is there something that pods are connected by?

    @property
    def bootstrapped(self) -> bool:
        return any(not member.learner for member in self.members.values())

    def has_quorum(self) -> bool:
        voters = [member for member in self.members.values() if not member.learner]
        return sum(member.running for member in voters) * 2 > len(voters)

    @property
    def leader(self) -> int:
        """Its member id; 0 without a quorum."""
        if not self.has_quorum():
            return 0
        voters = [one.id for one in self.members.values() if one.running and not one.learner]
        if self._leader not in voters:
            self._elect(voters[0])
        return self._leader

    def forfeit(self, id_: int) -> int:
        """Another running voter leads from now on: its id. 0: `id_` did not lead, or nobody else can."""
        others = [
            one.id for one in self.members.values() if one.running and not one.learner and one.id != id_
        ]
        if self.leader != id_ or not others:
            return 0
        self._elect(others[0])
        return others[0]

    def _elect(self, id_: int) -> None:
        self._leader = id_
        self.raft_term += 1

    def why_no_upgrade(self) -> str:
        """What the legacy upgrade call checks before it takes a control plane down."""
        if len(self.members) == 2:
            return "etcd member count is 2: the upgrade would lose quorum"
        for member in self.members.values():
            if not member.running or member.learner:
                return f"etcd member {member.id:016x} ({member.hostname}) is not started"
            if self.unhealthy(member):
                return f"etcd member {member.id:016x} ({member.hostname}) is not healthy"
        return ""

    def unhealthy(self, member: Member) -> bool:
        return member.id in self.sick and self.sick[member.id]()

    def add_member(self, hostname: str, address: str, *, learner: bool) -> Member:
        member = Member(random_id(), hostname, address, learner)
        self.members[member.id] = member
        return member

    def promote(self, member: Member) -> None:
        member.learner = False
        self.replicate()

    def begin_anew(self, database: bytes) -> None:
        """From a snapshot: whoever was a member is none any more."""
        for table in (self.members, self.replicas, self.sick, self.alarms):
            table.clear()
        self.database = database
        self.raft_term += 1

    def remove_member(self, id_: int) -> None:
        for table in (self.members, self.replicas, self.sick, self.alarms):
            table.pop(id_, None)
        self.replicate()

    def lose(self, id_: int) -> None:
        """The data of a member is gone. Once that is so for all of them, the cluster is, too."""
        if id_ in self.members:
            self.members[id_].running, self.members[id_].lost = False, True
            self.replicas.pop(id_, None)
        if all(member.lost for member in self.members.values()):
            for table in (self.members, self.replicas, self.sick, self.alarms, self.nodes):
                table.clear()
            self.admin = None
        self.signal.fire()

    def replicate(self) -> None:
        """Every running member stores who belongs to the cluster."""
        self.term += 1
        for write in self.replicas.values():
            write()
        self.signal.fire()

    def restore(self, etcd: Mapping[str, Any]) -> None:
        """After the whole lab was restarted: what a node's etcd data says. The newest membership counts."""
        if etcd["term"] > self.term:
            self.term = etcd["term"]
            running = {member.id for member in self.members.values() if member.running}
            found = (Member(**{**one, "running": one["id"] in running}) for one in etcd["members"])
            self.members = {member.id: member for member in found}

    def as_record(self, own: Member) -> dict[str, Any]:
        members = [asdict(member) for member in self.members.values()]
        return {"etcd": {"id": own.id, "term": self.term, "members": members}}

    def touch(self, node: KubeNodeState) -> None:
        """The Node object changed."""
        self.revision += 1
        node.revision = self.revision
        self.signal.fire()
