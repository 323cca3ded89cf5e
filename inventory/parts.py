"""The parts that documents are made of: node fields, cluster fields, settings. Every field is optional,
because any of them may come from another layer; what must not be missing is checked after the overlay.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from inventory import values as v
from inventory.bootstrap import BootstrapFields
from inventory.machine_ids import HardwareFields
from inventory.model import Model
from inventory.nic_match import InterfaceMatch, check
from inventory.platform import ArgocdFields, CiliumFields


class DiskFields(Model):
    path: str | None = Field(
        default=None,
        pattern=r"^/dev/[A-Za-z0-9_./:+-]+$",
        description="Device, preferably a stable name.",
        examples=["/dev/disk/by-id/nvme-eui.0025388b71b2c5d1"],
    )
    serial: str | None = Field(
        default=None, min_length=1, max_length=128, description="Serial number.", examples=["S4EWNX0R"]
    )
    wwid: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="World-wide id.",
        examples=["eui.0025388b71b2c5d1"],
    )
    wipe: bool | None = Field(default=None, description="May a disk that holds data be overwritten?")


class ImageFields(Model):
    talos: v.TalosVersion | None = Field(default=None, description="Talos version.")
    schematic: v.Schematic | None = Field(default=None, description="Image Factory schematic id.")
    url: v.ImageUrl | None = Field(default=None, description="Image to write instead of the factory's.")
    sha256: v.Sha256 | None = Field(default=None, description="SHA-256 of the image file as fetched.")
    extensions: list[v.Extension] | None = Field(default=None, description="System extensions.")
    factory: v.Factory | None = Field(
        default=None,
        description="Image Factory to use: a mirror of your own, or a folder laid out like it (file:///…).",
    )


class DeliveryFields(Model):
    method: Literal["auto", "metal-iso", "state", "maintenance-push"] | None = Field(
        default=None,
        description="How the machine configuration reaches the first boot; `auto` goes by the version.",
    )
    trust_segment: bool | None = Field(
        default=None, description="Declares the network segment trusted; for `maintenance-push` only."
    )


class ProxySettings(Model):
    http: v.Url | None = Field(default=None, description="Proxy for http.")
    https: v.Url | None = Field(default=None, description="Proxy for https.")
    no_proxy: list[Annotated[str, Field(pattern=r"^[^\s,]+$")]] | None = Field(
        default=None, description="Hosts, domains and networks reached directly."
    )


class KernelModule(Model):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        description="Module name.", examples=["dm_thin_pool"]
    )
    parameters: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, description="Parameters."
    )


BondMode = Literal["active-backup", "802.3ad", "balance-xor", "balance-alb", "balance-tlb", "balance-rr"]
InterfaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,15}$")]


class Interface(Model):
    name: InterfaceName = Field(
        description="Interface name; of a VLAN, the parent's with a dot and the id.",
        examples=["enp1s0", "bond0.100"],
    )
    match: InterfaceMatch | None = Field(
        default=None,
        description="Which card it is, if not by its kernel name; `name` is then yours to choose.",
    )
    dhcp: bool | None = Field(
        default=None, description="Take the address from DHCP. Default: if no addresses are given."
    )
    addresses: list[v.InterfaceCidr] | None = Field(
        default=None, description="Static addresses with their prefix lengths."
    )
    gateway: v.Ip | None = Field(default=None, description="Default gateway.")
    mtu: Annotated[int, Field(ge=576, le=65535)] | None = Field(
        default=None, description="Largest frame, in bytes."
    )
    bond: Annotated[list[InterfaceName], Field(min_length=1)] | None = Field(
        default=None, description="Members; makes this a bond.", examples=[["enp1s0", "enp2s0"]]
    )
    bond_mode: BondMode | None = Field(
        default=None,
        description="How the bond shares its members; `802.3ad` needs a switch that speaks LACP.",
    )
    vlan: Annotated[int, Field(ge=1, le=4094)] | None = Field(
        default=None, description="VLAN id; makes this a VLAN."
    )
    parent: InterfaceName | None = Field(
        default=None, description="What the VLAN stands on. Default: its name up to the last dot."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.vlan and self.bond:
            v.refuse("an interface can't be a bond and a VLAN", "declare the VLAN beside the bond")
        if self.vlan and not (self.parent or "." in self.name):
            v.refuse("the VLAN has no parent", "write parent, or a name such as bond0.100")
        if self.bond_mode and not self.bond:
            v.refuse("bondMode without bond", "write bond with the names of its members, or remove it")
        if self.parent and not self.vlan:
            v.refuse("parent without vlan", "write the VLAN's id as vlan, or remove parent")
        if self.gateway and not self.addresses:
            v.refuse("a gateway without addresses", "add addresses, or remove it: DHCP gives its own")
        check(self.name, bool(self.bond or self.vlan), self.match)
        return self


class NetworkSettings(Model):
    interfaces: list[Interface] | None = Field(
        default=None, description="Interfaces. Default: DHCP on every one that is connected."
    )


class NodeSettings(Model):
    time_servers: list[v.Host] | None = Field(default=None, description="NTP servers.")
    time_disabled: bool | None = Field(default=None, description="No time synchronization at all.")
    nameservers: list[v.Ip] | None = Field(default=None, description="DNS servers, instead of DHCP's.")
    search_domains: list[v.Host] | None = Field(default=None, description="DNS search domains.")
    registry_mirrors: dict[v.Registry, Annotated[list[v.Url], Field(min_length=1)]] | None = Field(
        default=None, description="Image registry → mirrors, tried in order."
    )
    registry_cas: dict[v.RegistryHost, v.Certificate] | None = Field(
        default=None,
        alias="registryCAs",
        description="Host (and port) of a registry or mirror → the authority of its certificate, as PEM.",
    )
    proxy: ProxySettings | None = Field(default=None, description="Proxies for outgoing connections.")
    sysctls: dict[v.SysctlKey, v.SysctlValue] | None = Field(default=None, description="Kernel settings.")
    kernel_modules: list[KernelModule] | None = Field(default=None, description="Kernel modules to load.")
    node_labels: dict[v.LabelKey, v.LabelValue] | None = Field(
        default=None, description="Labels of the Kubernetes node."
    )
    node_taints: dict[v.LabelKey, v.Taint] | None = Field(
        default=None, description="Taints of the Kubernetes node: key → `value:Effect`."
    )
    longhorn: bool | None = Field(default=None, description="Prepare the node for Longhorn storage.")
    nvidia: bool | Literal["production", "lts"] | None = Field(
        default=None,
        description="Prepare the node for NVIDIA GPUs; with which branch of the driver: production.",
    )
    network: NetworkSettings | None = Field(default=None, description="Network interfaces.")


class NodeFields(Model):
    """What any layer may say of nodes."""

    labels: dict[v.LabelKey, v.LabelValue] | None = Field(default=None, description="For selectors.")
    ssh_port: v.Port | None = Field(
        default=None, description="Port of the bootstrap environment's SSH server."
    )
    ssh_user: v.User | None = Field(default=None, description="User on the bootstrap environment.")
    jump: v.Jump | None = Field(
        default=None, description="Jump host; without it the node is reached directly."
    )
    hardware_profile: v.Name | None = Field(
        default=None,
        description="Hardware profile, instead of the one that matches.",
        examples=["dell-r660"],
    )
    disk: DiskFields | None = Field(
        default=None, description="The install disk; chosen for you if not named."
    )
    image: ImageFields | None = Field(default=None, description="The Talos image.")
    delivery: DeliveryFields | None = Field(default=None, description="How the configuration is delivered.")
    settings: NodeSettings | None = Field(default=None, description="Settings of the machine.")
    bootstrap: BootstrapFields | None = Field(
        default=None, description="What the bootstrap environment is to have before installing."
    )
    patches: list[dict[str, Any]] | None = Field(
        default=None,
        description="Patches of the machine configuration: strategic merge, or operations of RFC 6902 with "
        "`op`; layers accumulate.",
    )


class LayerFields(NodeFields):
    """Node fields for many nodes at once; may name their class."""

    node_class: v.Name | None = Field(default=None, description="Name of a NodeClass.", examples=["storage"])


class RoleLayers(Model):
    controlplane: LayerFields | None = Field(default=None, description="For control planes.")
    worker: LayerFields | None = Field(default=None, description="For workers.")
    appliance: LayerFields | None = Field(default=None, description="For one-node clusters.")


class OwnFields(LayerFields):
    """What a site may say of one node that its template declares."""

    address: v.Address | None = Field(default=None, description="Where the bootstrap environment answers.")
    host_key: v.HostKey | None = Field(default=None, description="Pinned SSH host key, as in a `.pub` file.")
    hardware: HardwareFields | None = Field(
        default=None, description="Which machine it is, for enrolment to know it by."
    )
    talos_address: v.Address | None = Field(
        default=None, description="Where Talos answers, if that is another address."
    )


class NodeSpec(OwnFields):
    role: Literal["controlplane", "worker", "appliance"] = Field(
        description="What the node is in its cluster."
    )


class InlineNode(NodeSpec):
    name: v.Name = Field(description="Unique in the fleet; becomes the host name.", examples=["berlin-cp-1"])


class EtcdSnapshotFields(Model):
    every_hours: Annotated[int, Field(ge=0, le=168)] | None = Field(
        default=None, description="Hours between two snapshots while `cto serve` runs; 0: none. Default: 12."
    )
    keep: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="How many of them are kept. Default: 14."
    )


class ClusterFields(Model):
    """What any layer may say of clusters."""

    kubernetes: v.KubernetesVersion | None = Field(default=None, description="Kubernetes version.")
    allow_scheduling_on_control_planes: bool | None = Field(
        default=None, description="May workloads run on control planes? Default: only in a one-node cluster."
    )
    pod_cidr: v.Cidr | None = Field(default=None, alias="podCIDR", description="Network of the pods.")
    service_cidr: v.Cidr | None = Field(
        default=None,
        alias="serviceCIDR",
        description="Network of the services.",
        examples=["10.96.0.0/12"],
    )
    cni: Literal["flannel", "none", "cilium"] | None = Field(
        default=None, description="Pod network; none to install one yourself, cilium as `cilium` says."
    )
    cilium: CiliumFields | None = Field(default=None, description="Which Cilium, for `cni: cilium`.")
    argocd: ArgocdFields | None = Field(default=None, description="Install Argo CD. Default: not.")
    kube_proxy: bool | None = Field(
        default=None, description="Run kube-proxy. Default: unless Cilium does its work."
    )
    vip: v.Ip | None = Field(
        default=None,
        description="Address that the control planes share by ARP; one of them holds it. Same network only.",
        examples=["10.0.0.10"],
    )
    discovery: bool | None = Field(default=None, description="Use Talos cluster discovery; off for air gaps.")
    etcd_snapshots: EtcdSnapshotFields | None = Field(
        default=None, description="How often etcd is saved, and how many snapshots are kept."
    )
    cert_sans: list[v.Host] | None = Field(
        default=None,
        alias="certSANs",
        description="More names and addresses for the API servers' certificates.",
    )


class ClusterLayers(ClusterFields):
    """A cluster and what it says of its nodes, common to Cluster documents and templates."""

    endpoint: v.Endpoint | None = Field(
        default=None, description="Kubernetes API. Default with one control plane: its address, port 6443."
    )
    defaults: LayerFields | None = Field(
        default=None, description="Node fields for all nodes of the cluster."
    )
    roles: RoleLayers | None = Field(default=None, description="Node fields by role.")
