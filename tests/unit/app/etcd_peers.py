"""Control planes of one cluster as the controller meets them, in memory: Talos, etcd, the cluster's lease.

A peer with a state of its own, not a record of calls: etcd's members, who runs, and what a test makes of that.
No network, no TLS, no raft.
"""

import gzip
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from controller.app.kube_port import KubeNode, Lease
from controller.app.ports import Completed, EtcdMember, MachineStatus, TalosVersion
from controller.app.talos_port import EtcdStatus
from inventory.errors import Unreachable

SNAPSHOT = gzip.decompress((Path(__file__).parents[2] / "fixtures/etcd/snapshot.db.gz").read_bytes())


@dataclass
class Member:
    number: int
    learner: bool = False
    running: bool = True


@dataclass
class Machines:
    """By address; a machine that is no member answers SSH with its boot id, or nothing if that is empty."""

    members: dict[str, Member] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    boots: dict[str, str] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)  # who gave one
    looked: Callable[[], None] = lambda: None  # whenever etcd's members are asked for

    def joins(self, address: str, *, learner: bool = False) -> None:
        self.members[address] = Member(len(self.members) + 1, learner)
        self.boots[address] = ""

    def quorum(self) -> bool:
        voters = [m for m in self.members.values() if not m.learner]
        return sum(m.running for m in voters) * 2 > len(voters)

    # --- Ssh

    @asynccontextmanager
    async def forward(self, target, port):
        yield target.address, port

    async def run(self, target, command, **_):
        if not self.boots.get(target.address):
            raise Unreachable("no answer", where=target.name)
        return Completed(0, self.boots[target.address].encode(), b"")

    async def close(self):
        """Nothing is open."""

    # --- TalosApi

    @asynccontextmanager
    async def connect(self, host, port, identity, *, server_name):
        member = self.members.get(host)
        if member is None or not member.running:
            raise Unreachable("no answer", where=self.names[host])
        yield Node(self, host, member)


class Kube:
    """KubeApi. Only the lease and the nodes: nothing else of Kubernetes is asked for here."""

    def __init__(self, holder: str = "", until: float = 0.0):
        self.seen = Lease(holder, until)
        self.held: list[str] = []
        self.nodes_seen: dict[str, bool] = {}  # name → cordoned
        self.answers = True

    async def node_states(self, kubeconfig, *, host="", port=0):
        if not self.answers:
            raise Unreachable("no answer", where=host)
        return [KubeNode(name, True, (), "v1.36.3", off) for name, off in self.nodes_seen.items()]

    async def lease(self, kubeconfig, namespace, name, *, host="", port=0):
        return self.seen

    async def hold_lease(self, kubeconfig, namespace, name, holder, *, now, seconds, seen, host="", port=0):
        self.seen = Lease(holder, now + seconds)
        self.held.append(holder)
        return True

    async def close(self):
        """Nothing is open."""


@dataclass
class Node:
    machines: Machines
    address: str
    member: Member

    async def version(self):
        return TalosVersion("v1.13.9", "amd64", "metal")

    async def machine_status(self):
        return MachineStatus("running", ready=True)

    async def services(self):
        return {"etcd": "Running/healthy"}

    async def etcd_members(self):
        self.machines.looked()
        return [
            EtcdMember(m.number, self.machines.names[address], (), m.learner)
            for address, m in self.machines.members.items()
        ]

    async def etcd_status(self):
        leader = 1 if self.machines.quorum() else 0
        return EtcdStatus(self.member.number, leader, 2, 100, 100, 1 << 20, 1 << 20, self.member.learner)

    async def etcd_alarms(self):
        return ()

    async def etcd_snapshot_parts(self):
        self.machines.snapshots.append(self.machines.names[self.address])
        yield SNAPSHOT
