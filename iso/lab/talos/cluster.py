"""What the nodes of one lab cluster know of each other: etcd membership, Kubernetes nodes.

Stands for etcd, discovery and the network between the nodes. Holds no data of etcd and elects no leader
by raft: the leader is the first running voter.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

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
    uid: str = ""
    revision: int = 1


class Cluster:
    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.members: dict[int, Member] = {}
        self.term = 0  # rises with every change of the membership
        self.replicas: dict[int, Callable[[], None]] = {}  # by member: writes the membership to its disk
        self.nodes: dict[str, KubeNodeState] = {}
        self.joining = asyncio.Lock()  # etcd takes one learner at a time
        self.api_servers = 0  # kube-apiservers that serve now
        self.admin: Pair | None = None  # of the kubeconfig, made once
        self.revision = 1

    @property
    def bootstrapped(self) -> bool:
        return any(not member.learner for member in self.members.values())

    def has_quorum(self) -> bool:
        voters = [member for member in self.members.values() if not member.learner]
        return sum(member.running for member in voters) * 2 > len(voters)

    @property
    def leader(self) -> int:
        return next((one.id for one in self.members.values() if one.running and not one.learner), 0)

    def add_member(self, hostname: str, address: str, *, learner: bool) -> Member:
        member = Member(random_id(), hostname, address, learner)
        self.members[member.id] = member
        return member

    def promote(self, member: Member) -> None:
        member.learner = False
        self.replicate()

    def remove_member(self, id_: int) -> None:
        self.members.pop(id_, None)
        self.replicas.pop(id_, None)
        self.replicate()

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
