"""One running lab Talos: from the configuration's source to a ready node, and what it answers meanwhile.

Follows the boot order of Talos (acquire.go, apid, trustd, etcd, kubelet) with short, configurable waits.
The gRPC surface is `api`, the disks are `storage`, what nodes share is `cluster`.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Mapping
from typing import Any

from iso.lab.api import LabDisk, LabMachine
from iso.lab.kube import KubeServer
from iso.lab.talos import pki, storage
from iso.lab.talos.api import ApiServer
from iso.lab.talos.cluster import Cluster, KubeNodeState, Member
from iso.lab.talos.config import MachineConfig
from iso.lab.talos.shared import Release, Shared
from iso.lab.talos.source import ConfigSource


class TalosInstance:
    def __init__(self, shared: Shared, machine: LabMachine, disk: LabDisk, release: Release) -> None:
        self.shared, self.machine, self.disk, self.release = shared, machine, disk, release
        self.boot_id = str(uuid.uuid4())
        self.stage = "booting"
        self.services: dict[str, str] = {"machined": "Running/healthy", "containerd": "Running/healthy"}
        self.config: MachineConfig | None = None
        self.cluster: Cluster | None = None
        self.member: Member | None = None
        self.node: KubeNodeState | None = None
        self.source = ConfigSource(shared, machine, disk, release)
        self._delivered: asyncio.Future[MachineConfig] | None = None
        self._api: ApiServer | None = None
        self._kube: KubeServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def start(self) -> None:
        self.spawn(self._boot())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.machine.log("talos-crash", error=f"{type(error).__name__}: {error}")

    async def stop(self) -> None:
        self._stopped = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close_servers()
        if self.member is not None and self.cluster is not None:
            self.member.running = False
            self.cluster.replicas.pop(self.member.id, None)
        if self.node is not None and self.cluster is not None:
            self.node.ready = False
            self.cluster.touch(self.node)
        self.shared.left(self)
        self.shared.signal.fire()

    async def _close_servers(self) -> None:
        if self._api is not None:
            await self._api.stop()
            self._api = None
        if self._kube is not None:
            await self._kube.stop()
            self._kube = None

    # Boot

    async def _boot(self) -> None:
        config = await self._acquire()
        self.stage = "booting"
        self.adopt(config)
        self.machine.log("talos-configured", hostname=self.hostname, type=config.section("machine")["type"])
        await self._serve_api(config)
        if config.control_plane:
            self.services["etcd"] = "Preparing/unknown"
            await self._run_etcd(config)
            await self._serve_kube(config)
        await self._run_kubelet(config)
        self.stage = "running"
        self.shared.signal.fire()

    async def _acquire(self) -> MachineConfig:
        stored = await self.source.stored()
        if stored is not None:
            return stored
        config = await self.source.delivered() or await self._maintenance()
        storage.prepare_partitions(self.disk, self.machine.firmware, uuid.uuid4)
        self.source.persist(config)
        return config

    async def _maintenance(self) -> MachineConfig:
        self.stage = "maintenance"
        pair = pki.self_signed(self.shared.clock.now(), (self.machine.address,))
        self._delivered = asyncio.get_running_loop().create_future()
        self._api = ApiServer(self, maintenance=True)
        await _whole(self._api.start(pki.server_context(pair, alpn="h2")))
        self.machine.log("talos-maintenance", fingerprint=pki.fingerprint(pair.crt))
        self.shared.signal.fire()
        config = await self._delivered
        self._delivered = None
        await self._api.stop()
        self._api = None
        return config

    @property
    def maintenance(self) -> bool:
        return self._delivered is not None and not self._delivered.done()

    def deliver(self, config: MachineConfig) -> None:
        """Maintenance mode got its configuration; the answer to the caller is sent before the mode ends."""
        self.spawn(self._deliver_later(config))

    async def _deliver_later(self, config: MachineConfig) -> None:
        await self.shared.clock.sleep(self.shared.timings.down)
        if self._delivered is not None and not self._delivered.done():
            self._delivered.set_result(config)

    async def _serve_api(self, config: MachineConfig) -> None:
        self.services["apid"] = "Waiting/unknown"
        if not config.control_plane:
            # A worker's certificate is signed by trustd on a control plane.
            await self.shared.signal.until(lambda: self.shared.issuer(config) is not None)
        issuer = self.shared.issuer(config)
        ca = pki.Pair(config.ca_crt, config.ca_key) if config.control_plane or issuer is None else issuer
        if self.machine.faults.take("refuse-talos") is not None:
            self.machine.log("talos-refuses")
            await asyncio.Event().wait()
        sans = (self.machine.address, "127.0.0.1", self.hostname, *config.cert_sans)
        pair = pki.issue(ca, now=self.shared.clock.now(), common_name=self.hostname, sans=sans)
        context = pki.server_context(pair, client_ca=config.ca_crt, alpn="h2")
        self._api = ApiServer(self, maintenance=False)
        await _whole(self._api.start(context))
        self.services["apid"] = "Running/healthy"
        if config.control_plane:
            self.services["trustd"] = "Running/healthy"
            self.shared.serves(self)
        self.services["kubelet"] = "Preparing/unknown"
        self.shared.signal.fire()

    async def _run_etcd(self, config: MachineConfig) -> None:
        cluster = self._cluster(config)
        etcd = (storage.read_record(self.disk, "EPHEMERAL") or {}).get("etcd")
        if etcd is not None:
            cluster.restore(etcd)
            if etcd["id"] not in cluster.members:
                self.services["etcd"] = "Failed/unhealthy"  # it was removed: its data is of no use
                await asyncio.Event().wait()
            self._belong(cluster, cluster.members[etcd["id"]])
        else:
            await self.shared.signal.until(lambda: self.member is not None or cluster.bootstrapped)
        async with contextlib.AsyncExitStack() as joining:
            if self.member is None:
                await joining.enter_async_context(cluster.joining)
                self._belong(cluster, cluster.add_member(self.hostname, self.machine.address, learner=True))
                cluster.replicate()
            await self._start_etcd(cluster, etcd["id"] if etcd else 0)
        self.machine.log("etcd-running")
        self.shared.signal.fire()

    async def _start_etcd(self, cluster: Cluster, known: int) -> None:
        await self.shared.clock.sleep(self.shared.timings.etcd)
        # Looked up by id: a membership read meanwhile from another disk made new objects.
        member = self.member = cluster.members[known] if known else self.member
        if member is None:
            return
        member.running = True
        self.services["etcd"] = "Running/healthy"
        self.shared.signal.fire()
        if member.learner:
            await self.shared.clock.sleep(self.shared.timings.promote)
            cluster.promote(member)

    def _belong(self, cluster: Cluster, member: Member) -> None:
        """This node holds the etcd data of `member` from now on."""
        self.member = member
        disk = self.disk
        cluster.replicas[member.id] = lambda: storage.write_record(
            disk, "EPHEMERAL", cluster.as_record(member)
        )

    async def _serve_kube(self, config: MachineConfig) -> None:
        cluster = self._cluster(config)
        await self.shared.signal.until(cluster.has_quorum)
        await self.shared.clock.sleep(self.shared.timings.kube)
        self._kube = KubeServer(cluster, self.machine, config, self.shared.clock)
        await _whole(self._kube.start())

    async def _run_kubelet(self, config: MachineConfig) -> None:
        self.services["cri"] = self.services["kubelet"] = "Running/healthy"
        cluster = self._cluster(config)
        await self.shared.signal.until(lambda: cluster.api_servers > 0)
        old = cluster.nodes.get(self.hostname)
        self.node = KubeNodeState(
            self.hostname,
            self.machine.address,
            config.control_plane,
            config.kubelet_version,
            config.node_labels,
            unschedulable=old.unschedulable if old else False,
            uid=old.uid if old else str(uuid.uuid4()),
        )
        cluster.nodes[self.hostname] = self.node
        cluster.touch(self.node)
        await self.shared.clock.sleep(self.shared.timings.ready)
        if config.cni != "none" and self.machine.faults.take("never-ready") is None:
            self.node.ready = True
            cluster.touch(self.node)

    # What the API asks and orders

    @property
    def hostname(self) -> str:
        configured = self.config.hostname if self.config else ""
        return configured or "talos-" + self.machine.uuid.replace("-", "")[:6]

    def _cluster(self, config: MachineConfig) -> Cluster:
        if self.cluster is None:
            self.cluster = self.shared.cluster(config)
        return self.cluster

    def adopt_for(self, config: MachineConfig, seconds: float) -> None:
        """TRY: back to what was before, unless another configuration came meanwhile."""
        before = self.config
        self.adopt(config)
        self.spawn(self._revert(before, config, seconds))

    async def _revert(self, before: MachineConfig | None, tried: MachineConfig, seconds: float) -> None:
        await self.shared.clock.sleep(seconds)
        if before is not None and self.config is tried:
            self.adopt(before)
            self.shared.signal.fire()

    def adopt(self, config: MachineConfig) -> None:
        self.config = config
        self._cluster(config)
        if self.node is not None:
            self.node.labels, self.node.version = config.node_labels, config.kubelet_version

    def unmet(self) -> Mapping[str, str]:
        """Conditions between this node and ready, by name."""
        found: dict[str, str] = {}
        bad = sorted(name for name, state in self.services.items() if state != "Running/healthy")
        if bad:
            found["services"] = "not running: " + ", ".join(bad)
        if self.node is None or not self.node.ready:
            found["nodeReady"] = f'node "{self.hostname}" is not ready'
        return found

    def time_in_sync(self) -> bool:
        disabled = self.config is not None and self.config.time_disabled
        return disabled or not self.machine.faults.has("no-time")

    def start_etcd(self) -> None:
        """Bootstrap: this node is the first member."""
        if self.cluster is not None and self.config is not None:
            member = self.cluster.add_member(self.hostname, self.machine.address, learner=False)
            self._belong(self.cluster, member)
            self.cluster.replicate()
            self.machine.log("etcd-bootstrap", member=f"{member.id:016x}")

    def leave_etcd(self) -> None:
        if self.cluster is not None and self.member is not None:
            self.cluster.remove_member(self.member.id)
            self.member = None

    def forget_node(self) -> None:
        if self.cluster is not None:
            self.cluster.nodes.pop(self.hostname, None)
            self.node = None

    def later(self, stage: str, *, off: bool = False) -> None:
        """Go down a moment after the answer was sent."""
        self.stage = stage
        self.spawn(self._go_down(off))

    async def _go_down(self, off: bool) -> None:
        await self.shared.clock.sleep(self.shared.timings.down)
        await (self.machine.power_off() if off else self.machine.reboot())


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """To its end, even if cancelled meanwhile: a server that was half started would keep its port."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
