"""Everything a machine configuration is made from, gathered once and given to each of its parts. No rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from facts.hardware import Profile
from facts.machine_model import HardwareNic
from inventory.errors import OperatorError
from inventory.fleet import Cluster, Node
from roles.features import Feature, wanted
from roles.network import Link, links
from roles.pki import normal
from roles.platform import InlineManifest
from roles.secrets import SecretsBundle
from roles.spec import RoleSpec
from roles.talos_version import Contract

DEFAULT_POD_CIDR, DEFAULT_SERVICE_CIDR, DNS_DOMAIN = "10.244.0.0/16", "10.96.0.0/12", "cluster.local"


@dataclass(frozen=True, slots=True)
class ConfigInput:
    """`memory` in bytes and `threads` scale the reservations; `install_disk` is a stable path."""

    node: Node
    cluster: Cluster
    contract: Contract
    role: RoleSpec
    bundle: SecretsBundle = field(repr=False)
    install_disk: str
    installer: str
    memory: int
    threads: int
    profile: Profile | None = None
    manifests: tuple[InlineManifest, ...] = ()
    nics: tuple[HardwareNic, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.node.settings

    @property
    def features(self) -> tuple[Feature, ...]:
        return wanted(self.node.settings)

    @property
    def talos_address(self) -> str:
        return self.node.talos_address or self.node.address

    @property
    def endpoint_host(self) -> str:
        host = urlsplit(self.cluster.endpoint).hostname
        if not host:
            raise OperatorError(
                f"the endpoint {self.cluster.endpoint!r} has no host",
                where=f"cluster {self.cluster.name}",
                fix="write it as https://address:6443",
            )
        return host

    @property
    def pod_cidr(self) -> str:
        return str(self.cluster.settings.get("podCIDR") or DEFAULT_POD_CIDR)

    @property
    def service_cidr(self) -> str:
        return str(self.cluster.settings.get("serviceCIDR") or DEFAULT_SERVICE_CIDR)

    @property
    def schedulable(self) -> bool:
        """May workloads run here?"""
        return self.role.runs_workloads or self.cluster.allow_scheduling_on_control_planes

    @property
    def vip(self) -> str:
        """The address that the control planes share, if there is one."""
        return str(self.cluster.settings.get("vip") or "")

    @property
    def links(self) -> tuple[Link, ...]:
        shared = self.vip if self.role.control_plane else ""
        where, address = f"node {self.node.name}", self.node.address or self.talos_address
        return links(self.settings, shared, where, nics=self.nics, address=address)

    @property
    def registry_cas(self) -> Mapping[str, str]:
        """Host of a registry → the authority of its certificate, PEM; read, so that none is broken."""
        said = self.settings.get("registryCAs") or {}
        where = f"node {self.node.name}: settings.registryCAs"
        return {str(host): normal(pem, f"{where}: {host}") for host, pem in said.items()}

    @property
    def cert_sans(self) -> tuple[str, ...]:
        """More names for the API server's certificate: the shared address, then the cluster's settings."""
        return (*((self.vip,) if self.vip else ()), *(self.cluster.settings.get("certSANs") or ()))
