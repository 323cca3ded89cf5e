"""The kubelet of one lab node: it registers, becomes ready, and stays so unless told otherwise."""

import uuid
from typing import TYPE_CHECKING

from iso.lab.talos.cluster import Cluster, KubeNodeState
from iso.lab.talos.config import MachineConfig

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance


class Kubelet:
    def __init__(self, instance: "TalosInstance") -> None:
        self._instance = instance
        self.node: KubeNodeState | None = None

    @property
    def ready(self) -> bool:
        return self.node is not None and self.node.ready

    async def run(self, config: MachineConfig) -> None:
        """Until it registered, which an API server must be there for."""
        instance, cluster = self._instance, self._instance.cluster_of(config)
        instance.service("cri", "Running/healthy")
        instance.service("kubelet", "Running/healthy")
        await instance.shared.signal.until(lambda: cluster.api_servers > 0)
        old = cluster.nodes.get(instance.hostname)
        self.node = KubeNodeState(
            instance.hostname,
            instance.machine.address,
            config.control_plane,
            config.kubelet_version,
            config.node_labels,
            components=config.components,
            unschedulable=old.unschedulable if old else False,
            cordoned_by_talos=old.cordoned_by_talos if old else False,
            uid=old.uid if old else str(uuid.uuid4()),
        )
        cluster.nodes[instance.hostname] = self.node
        cluster.touch(self.node)
        await instance.shared.clock.sleep(instance.shared.timings.ready)
        if self._fault("never-ready"):
            return
        if cluster.network:
            self._report(ready=True)
        else:
            instance.spawn(self._connected(cluster, config))

    async def _connected(self, cluster: Cluster, config: MachineConfig) -> None:
        """Ready as soon as something connects its pods."""
        await self._instance.shared.signal.until(lambda: cluster.network)
        self._report(ready=True)
        await self.settle(config)

    async def settle(self, config: MachineConfig) -> None:
        """After the first readiness: undo our own cordon, or go bad if this version does."""
        node = self.node
        if node is None or not node.ready:
            return
        if node.cordoned_by_talos:
            node.unschedulable = node.cordoned_by_talos = False
            self._instance.cluster_of(config).touch(node)
        if self._fault("ready-but-bad"):
            self._instance.spawn(self._go_bad())
        if self._fault("flaps"):
            self._instance.spawn(self._flap())

    async def _flap(self) -> None:
        while True:
            for ready, share in ((False, 1), (True, 4)):  # not in step with those who look every second
                await self._instance.shared.clock.sleep(self._instance.shared.timings.ready * share)
                self._instance.service("kubelet", f"Running/{'healthy' if ready else 'unhealthy'}")
                self._report(ready=ready)

    async def _go_bad(self) -> None:
        await self._instance.shared.clock.sleep(self._instance.shared.timings.ready)
        self._instance.service("kubelet", "Running/unhealthy")
        self._report(ready=False)

    def _fault(self, kind: str) -> bool:
        """A fault of this version (`at` its tag) or of any."""
        return self._instance.machine.faults.take(kind, self._instance.release.tag) is not None

    def _report(self, *, ready: bool) -> None:
        cluster = self._instance.cluster
        if self.node is not None and cluster is not None:
            self.node.ready = ready
            cluster.touch(self.node)
            self._instance.tell_status()

    def cordon(self) -> None:
        """For an upgrade. One that an operator made stays an operator's."""
        cluster = self._instance.cluster
        if self.node is not None and cluster is not None and not self.node.unschedulable:
            self.node.unschedulable = self.node.cordoned_by_talos = True
            cluster.touch(self.node)

    def adopt(self, config: MachineConfig) -> None:
        if self.node is not None:
            self.node.labels, self.node.version = config.node_labels, config.kubelet_version
            self.node.components = config.components

    def stop(self) -> None:
        if self.node is not None:
            self.node.ready = False
            if self._instance.cluster is not None:
                self._instance.cluster.touch(self.node)

    def forget(self) -> None:
        """Reset. The Node object stays, not ready, until somebody deletes it."""
        self.stop()
        self.node = None
