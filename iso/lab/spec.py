"""What a lab is asked to be, and what it says of itself. Plain values, cheap to import: the CLI does so."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inventory.errors import OperatorError

MAX_MACHINES = 200
_SITES = ("berlin", "oslo", "lisbon", "vienna", "turin", "porto", "ghent", "malmo", "basel", "split")
_FIRST_HOST = 10  # the last number of a site's first address

# Which hardware a role gets unless the lab is told otherwise: different, so that disk choice has work to do.
_HARDWARE: Mapping[str, tuple[str, ...]] = {
    "controlplane": ("dell-r660", "hpe-dl360-gen11", "supermicro-sys-621c"),
    "worker": ("dell-r760", "vm-kvm", "mini-pc"),
    "appliance": ("intel-nuc", "mini-pc"),
}


@dataclass(frozen=True, slots=True)
class LabSpec:
    """`mixed`, if given, holds the number of nodes of each site and replaces `sites` and `nodes`."""

    sites: int = 2
    nodes: int = 4
    mixed: tuple[int, ...] = ()
    seed: str = "lab"
    authorized_keys: str = ""  # lines as in an authorized_keys file
    base_address: int = 0  # second number of 127.x.…; 0: derived from the seed
    boot_seconds: float = 0.5
    ssh_port: int = 2222
    talos_port: int = 50000
    kube_port: int = 6443
    hardware: tuple[str, ...] = ()  # kinds to use in turn; empty: by role

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LabSpec":
        lists = {name: tuple(data.get(name, ())) for name in ("mixed", "hardware")}
        return cls(**{**data, **lists})


@dataclass(frozen=True, slots=True)
class MachineSpec:
    name: str
    site: str
    cluster: str
    role: str  # controlplane, worker, appliance
    address: str
    hardware: str


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """One machine as it is now. `host_key` and `words` are those on its console; empty while it has none."""

    name: str
    site: str
    cluster: str
    role: str
    address: str
    hardware: str
    arch: str
    ssh_port: int
    talos_port: int
    kube_port: int
    state: str  # off, booting, bootstrap, talos, dark
    host_key: str
    words: str
    uuid: str
    serial: str
    enroll_id: str
    console: str
    faults: Sequence[Mapping[str, Any]] = ()
    enroll_state: str = ""  # looking, connecting, waiting, approved…; empty: it has no token
    enroll_words: str = ""


@dataclass(frozen=True, slots=True)
class LabInfo:
    pid: int
    ready: bool
    machines: tuple[MachineInfo, ...]
    spec: LabSpec
    problems: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LabInfo":
        return cls(
            pid=data["pid"],
            ready=data["ready"],
            machines=tuple(MachineInfo(**machine) for machine in data["machines"]),
            spec=LabSpec.from_dict(data["spec"]),
            problems=tuple(data["problems"]),
        )

    def machine(self, name: str) -> MachineInfo:
        found = next((machine for machine in self.machines if machine.name == name), None)
        if found is None:
            raise OperatorError(f"the lab has no machine {name!r}", fix="`cto lab status` lists them")
        return found


def layout(spec: LabSpec) -> tuple[MachineSpec, ...]:
    """The machines of a lab. One node: an appliance. Two: a control plane and a worker. From three on: three
    control planes, the rest workers.
    """
    counts = spec.mixed or (spec.nodes,) * spec.sites
    total = sum(counts)
    if not counts or min(counts) < 1 or total > MAX_MACHINES or len(counts) > 250 or max(counts) > 240:
        raise OperatorError(
            f"a lab of {total} machines at {len(counts)} sites is not possible",
            fix=f"choose at least one node per site and at most {MAX_MACHINES} machines in all",
        )
    base, first = (spec.base_address, 1) if spec.base_address else _network(spec.seed, len(counts))
    if not 32 <= base <= 250:
        raise OperatorError(
            f"base address 127.{base} is outside 127.32 to 127.250", fix="choose a number in between"
        )
    machines: list[MachineSpec] = []
    for number, count in enumerate(counts, 1):
        site = _SITES[number - 1] if number <= len(_SITES) else f"site-{number}"
        for index, (name, role) in enumerate(_members(site, count)):
            kinds = spec.hardware or _HARDWARE[role]
            kind = kinds[(len(machines) if spec.hardware else index) % len(kinds)]
            address = f"127.{base}.{first + number - 1}.{_FIRST_HOST + index}"
            machines.append(MachineSpec(name, site, site, role, address, kind))
    return tuple(machines)


def _network(seed: str, sites: int) -> tuple[int, int]:
    """Second number, and third number of the first site: one of some 50,000 places, so labs seldom meet."""
    digest = hashlib.sha256(seed.encode()).digest()
    return 32 + int.from_bytes(digest[:4], "big") % 219, 1 + int.from_bytes(digest[4:8], "big") % (
        251 - sites
    )


def _members(site: str, count: int) -> list[tuple[str, str]]:
    if count == 1:
        return [(f"{site}-1", "appliance")]
    controls = 1 if count == 2 else 3
    members = [(f"{site}-cp-{index}", "controlplane") for index in range(1, controls + 1)]
    return members + [(f"{site}-worker-{index}", "worker") for index in range(1, count - controls + 1)]
