"""The effective fleet: what the site files say once every overlay is applied. Frozen values, no parsing.

`inventory.resolve` makes these from documents; every other room works with these and never with YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["controlplane", "worker", "appliance"]


@dataclass(frozen=True, slots=True)
class Image:
    """Which Talos image a node gets.

    `url` may be https://, file:// or a path; `sha256` is of the file as fetched.
    """

    talos: str  # "1.13.9"
    schematic: str = ""  # image factory schematic id, 64 hex digits; empty: predicted from `extensions`
    url: str = ""  # empty: the factory URL of talos + schematic + arch
    sha256: str = ""  # empty: recorded in the lock at the first fetch
    extensions: tuple[str, ...] = ()
    factory: str = "https://factory.talos.dev"


@dataclass(frozen=True, slots=True)
class Disk:
    """What the site file says of the install disk. All empty: chosen by `roles.disks` with the reason."""

    path: str = ""  # stable path or /dev/name
    serial: str = ""
    wwid: str = ""
    wipe: bool = False  # may a disk that holds data be overwritten?


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the configuration reaches the first boot: by a partition of its own, in STATE, or pushed."""

    method: Literal["metal-iso", "state", "maintenance-push"] = "metal-iso"
    trust_segment: bool = False
    reason: str = ""  # why this one


@dataclass(frozen=True, slots=True)
class Node:
    name: str  # RFC 1123 label, unique in the fleet
    site: str
    cluster: str
    role: Role
    address: str = ""  # where the bootstrap environment is reached; may come from `cto node add`
    ssh_port: int = 22
    ssh_user: str = "root"
    jump: str = ""  # user@host[:port], "" = direct
    host_key: str = ""  # OpenSSH public key line, if the site file pins it
    talos_address: str = ""  # "" = same as address (DHCP with the same lease)
    labels: Mapping[str, str] = field(default_factory=dict)
    # which machine it is: serial, uuid, mac, tpm_ek; for enrolment
    hardware: Mapping[str, str] = field(default_factory=dict)
    node_class: str = ""
    hardware_profile: str = ""  # "" = matched from facts
    disk: Disk = field(default_factory=Disk)
    image: Image = field(default_factory=lambda: Image(talos=""))
    delivery: Delivery = field(default_factory=Delivery)
    patches: tuple[Mapping[str, Any], ...] = ()  # strategic merge patches, organization first, node last
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # timeServers, nameservers, registries, proxy, sysctls…
    # directories, files, lines, sysctls of the bootstrap environment: `roles.settings`
    bootstrap: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cluster:
    name: str
    site: str
    endpoint: str  # https://host:6443
    kubernetes: str  # "1.36.3"
    nodes: tuple[str, ...]  # names, control planes first
    allow_scheduling_on_control_planes: bool = False
    settings: Mapping[str, Any] = field(
        default_factory=dict
    )  # podCIDR, serviceCIDR, cni, discovery, certSANs…


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    organization: str
    timezone: str
    clusters: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that is declared. Mappings keep the order of the files."""

    organization: str
    sites: Mapping[str, Site]
    clusters: Mapping[str, Cluster]
    nodes: Mapping[str, Node]

    def nodes_of(self, cluster: str) -> tuple[Node, ...]:
        """The nodes of one cluster, control planes first, in file order."""
        return tuple(self.nodes[name] for name in self.clusters[cluster].nodes)
