"""One running lab Talos: from the configuration's source to a ready node, and what it answers meanwhile.

Follows the boot order of Talos (acquire.go, apid, trustd, etcd, kubelet) with short, configurable waits.
The gRPC surface is `api`, the disks are `storage`, upgrades `upgrades`, what nodes share is `cluster`.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Mapping
from typing import Any

from facts.talos.messages import enum_number, message
from iso.lab.api import LabDisk, LabMachine
from iso.lab.kube import KubeServer
from iso.lab.talos import manifests, pki, storage
from iso.lab.talos.api import ApiServer
from iso.lab.talos.bootloader import Meta
from iso.lab.talos.cluster import Cluster
from iso.lab.talos.config import MachineConfig
from iso.lab.talos.etcd import EtcdService
from iso.lab.talos.journal import Event, Journal, Line
from iso.lab.talos.kubelet import Kubelet
from iso.lab.talos.shared import Release, Shared
from iso.lab.talos.shared_address import hold_shared_address
from iso.lab.talos.source import ConfigSource
from iso.lab.talos.upgrades import Upgrades


class TalosInstance:
    def __init__(self, shared: Shared, machine: LabMachine, disk: LabDisk, release: Release) -> None:
        self.shared, self.machine, self.disk, self.release = shared, machine, disk, release
        self.boot_id = str(uuid.uuid4())
        self.events: Journal[Event] = Journal()
        self.lines: Journal[Line] = Journal()
        self.services = {"machined": "Running/healthy", "containerd": "Running/healthy"}
        self.config: MachineConfig | None = None
        self.cluster: Cluster | None = None
        self.etcd = EtcdService(self)
        self.upgrades = Upgrades(self)
        self.kubelet = Kubelet(self)
        self.meta = Meta(disk)
        self.source = ConfigSource(shared, machine, disk, release)
        self._stage = "booting"
        self._delivered: asyncio.Future[MachineConfig] | None = None
        self._api: ApiServer | None = None
        self._kube: KubeServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

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
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close_servers()
        self.etcd.stop()
        self.kubelet.stop()
        self.upgrades.stop()
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
        await self.upgrades.boot()
        config = await self._acquire()
        self.stage = "booting"
        self.adopt(config)
        self.machine.log("talos-configured", hostname=self.hostname, type=config.section("machine")["type"])
        await self._serve_api(config)
        if config.control_plane:
            await self.etcd.run(config)
            await self._serve_kube(config)
        await self.kubelet.run(config)
        self.stage = "running"
        await self.kubelet.settle(config)
        self.upgrades.settled()

    async def _acquire(self) -> MachineConfig:
        stored = await self.source.stored()
        if stored is not None:  # not kept again: that is where it is kept
            storage.prepare_partitions(self.disk, self.machine.firmware, uuid.uuid4)
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
        self.service("apid", "Waiting/unknown")
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
        context = pki.server_context(pair, client_ca=config.authorities, alpn="h2")
        self._api = ApiServer(self, maintenance=False)
        await _whole(self._api.start(context))
        self.service("apid", "Running/healthy")
        if config.control_plane:
            self.service("trustd", "Running/healthy")
            self.shared.serves(self)
        self.service("kubelet", "Preparing/unknown")

    async def _serve_kube(self, config: MachineConfig) -> None:
        cluster = self.cluster_of(config)
        await self.shared.signal.until(cluster.has_quorum)
        await self.shared.clock.sleep(self.shared.timings.kube)
        self._kube = KubeServer(cluster, self.machine, config, self.shared.clock)
        await _whole(self._kube.start())
        self._apply_manifests(config)
        self.spawn(hold_shared_address(self, self._kube))

    def _apply_manifests(self, config: MachineConfig) -> None:
        problem = manifests.apply(self.cluster_of(config), config)
        if problem:
            self.say("machined", f"k8s.ManifestApplyController: {problem}")
            self.machine.log("talos-manifest", error=problem)

    # What it tells

    @property
    def stage(self) -> str:
        return self._stage

    @stage.setter
    def stage(self, stage: str) -> None:
        self._stage = stage
        self.tell_status()

    def tell_status(self) -> None:
        """Stage, readiness or conditions changed."""
        enum = "machine.MachineStatusEvent.MachineStage"
        event = message("machine.MachineStatusEvent")(
            stage=enum_number(enum, self._stage.upper().replace("-", "_"))
        )
        event.status.ready = self.ready
        for name, reason in self.unmet().items():
            event.status.unmet_conditions.add(name=name, reason=reason)
        self._tell(event)
        self.shared.signal.fire()

    def service(self, name: str, state: str) -> None:
        """`state` as in "Running/healthy"."""
        self.services[name] = state
        kind, _, health = state.partition("/")
        self.say(name, f"service is {kind}, health {health}")
        number = enum_number("machine.ServiceStateEvent.Action", kind.upper())
        event = message("machine.ServiceStateEvent")(service=name, action=number)
        event.health.unknown, event.health.healthy = health == "unknown", health == "healthy"
        self._tell(event)
        self.shared.signal.fire()

    def sequence(self, name: str, action: str, *, actor: str = "", error: str = "") -> None:
        """One of Talos' sequences (upgrade, reboot, reset…) starts, stops or fails."""
        number = enum_number("machine.SequenceEvent.Action", action)
        event = message("machine.SequenceEvent")(sequence=name, action=number)
        if error:
            event.error.message = error
        self.say("machined", f"{name} sequence: {error or action.lower()}")
        self._tell(event, actor)

    def phase(self, name: str, *, actor: str) -> None:
        self._tell(message("machine.PhaseEvent")(phase=name), actor)

    def _tell(self, event: Any, actor: str = "") -> None:
        self.events.append(Event(self.shared.clock.now(), actor, event))

    def say(self, service: str, text: str) -> None:
        self.lines.append(Line(service, text))

    # What the API asks and orders

    @property
    def hostname(self) -> str:
        configured = self.config.hostname if self.config else ""
        return configured or "talos-" + self.machine.uuid.replace("-", "")[:6]

    def cluster_of(self, config: MachineConfig) -> Cluster:
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
        self.cluster_of(config)
        self.kubelet.adopt(config)
        if self._kube is not None:
            self._kube.adopt(config)
            self._apply_manifests(config)
        self.shared.signal.fire()

    @property
    def ready(self) -> bool:
        return self.stage == "maintenance" or (self.stage == "running" and not self.unmet())

    def unmet(self) -> Mapping[str, str]:
        """Conditions between this node and ready, by name."""
        if self.stage == "maintenance":
            return {}
        found: dict[str, str] = {}
        bad = sorted(name for name, state in self.services.items() if state != "Running/healthy")
        if bad:
            found["services"] = "not running: " + ", ".join(bad)
        if not self.kubelet.ready:
            found["nodeReady"] = f'node "{self.hostname}" is not ready'
        return found

    def time_in_sync(self) -> bool:
        disabled = self.config is not None and self.config.time_disabled
        return disabled or not self.machine.faults.has("no-time")

    def later(self, stage: str, *, off: bool = False, actor: str = "") -> None:
        """Go down a moment after the answer was sent."""
        self.sequence(
            {"resetting": "reset", "shutting-down": "shutdown"}.get(stage, "reboot"), "START", actor=actor
        )
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
