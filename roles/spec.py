"""What a role is: the shape that each role's own file fills in. Holds no rules; `roles.checks` reads these.

A role says what a node is to become, so it decides the kind of Talos machine, what the machine must have at
least, which facts the decision needs, and which preflight checks apply.
"""

from dataclasses import dataclass
from typing import Literal

from inventory.fleet import Role

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Need:
    """At least `minimum` or the plan is refused; below `advised` it warns. Memory and disk in bytes."""

    minimum: int
    advised: int


@dataclass(frozen=True, slots=True)
class RoleSpec:
    slug: Role
    title: str
    talos_type: Literal["controlplane", "worker"]
    runs_workloads: bool  # even where the cluster does not say so
    cores: Need
    memory: Need
    disk: Need
    facts: tuple[str, ...]  # facts without which no plan is made
    checks: tuple[str, ...]  # slugs of roles.checks, in the order they are shown
    settings: tuple[str, ...]  # node settings this role acts on

    @property
    def control_plane(self) -> bool:
        return self.talos_type == "controlplane"


NEEDED_FACTS = ("os", "cpu", "memory", "disks", "boot")
ALL_CHECKS = (
    "architecture",
    "cores",
    "memory",
    "disk",
    "disk-health",
    "secure-boot",
    "boot-mode",
    "network",
    "clock",
)
COMMON_SETTINGS = (
    "timeServers",
    "timeDisabled",
    "nameservers",
    "searchDomains",
    "registryMirrors",
    "registryCAs",
    "proxy",
    "sysctls",
    "kernelModules",
    "nodeLabels",
    "nodeTaints",
    "longhorn",
    "nvidia",
)
