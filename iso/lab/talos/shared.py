"""What all lab Talos instances share: clock, how long things take, clusters, who signs certificates."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from iso.lab.talos.cluster import Cluster, Signal
from iso.lab.talos.config import MachineConfig
from iso.lab.talos.pki import Pair

if TYPE_CHECKING:
    from iso.lab.talos.instance import TalosInstance


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds. Real machines take minutes; the order of things is what the lab keeps."""

    retry: float = 0.5  # between two tries to read a configuration
    etcd: float = 0.3  # to start
    promote: float = 0.3  # learner → voter
    kube: float = 0.2  # kube-apiserver to start
    ready: float = 0.5  # kubelet registered → Node ready
    down: float = 0.05  # answer sent → reboot ordered
    drain: float = 0.1  # cordon and drain before a legacy upgrade
    install: float = 0.2  # the installer
    layer: float = 0.02  # each step of pulling an image


@dataclass(frozen=True, slots=True)
class Release:
    """What the image on the disk says of itself."""

    tag: str = "v1.13.9"
    schematic: str = ""
    needs_metal_iso: bool = False  # its kernel arguments name metal-iso: no such volume is an error, too

    @property
    def minor(self) -> int:
        return int(self.tag.split(".")[1])


class Shared:
    def __init__(self, clock: Clock, timings: Timings) -> None:
        self.clock = clock
        self.timings = timings
        self.signal = Signal()
        self._clusters: dict[str, Cluster] = {}
        self._control_planes: dict[TalosInstance, MachineConfig] = {}

    def cluster(self, config: MachineConfig) -> Cluster:
        return self._clusters.setdefault(config.cluster_key, Cluster(self.signal))

    def serves(self, instance: "TalosInstance") -> None:
        """A control plane whose trustd answers."""
        if instance.config is not None:
            self._control_planes[instance] = instance.config

    def left(self, instance: "TalosInstance") -> None:
        self._control_planes.pop(instance, None)

    def issuer(self, config: MachineConfig) -> Pair | None:
        """The CA, if a control plane of it runs that takes this node's token."""
        token = config.section("machine").get("token")
        for other in self._control_planes.values():
            if other.ca_crt == config.ca_crt and other.section("machine").get("token") == token:
                return Pair(other.ca_crt, other.ca_key)
        return None
