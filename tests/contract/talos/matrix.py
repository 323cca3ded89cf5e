"""The configurations that the judges get: each Talos minor with each role, network, set of features and
hardware profile. Renders them with secrets from a fixture; decides nothing.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from facts.hardware import load_profiles
from facts.machine_model import Hardware, HardwareCpu, HardwareDisk, HardwareNic
from inventory.fleet import Cluster, Disk, Image, Node
from roles import authorities, disks, machineconfig, secrets
from roles.talos_version import CONTRACTS

BUNDLE = Path(__file__).parents[2] / "fixtures" / "roles" / "bundle.yaml"
GIB = 1 << 30
ENDPOINT = "https://10.0.0.10:6443"
_STABLE = "/dev/null"  # the library of 1.8 looks whether the install disk exists where it runs
_DISK = HardwareDisk("nvme0n1", "/dev/nvme0n1", _STABLE, 960 * GIB, "nvme")
_NICS = (
    HardwareNic("enp1s0", "52:54:00:00:00:01", False, 0, "igb", (), "0000:01:00.0"),
    HardwareNic("enp2s0", "52:54:00:00:00:02", True, 1000, "igb", ("10.0.0.5/24",), "0000:02:00.0"),
    HardwareNic("enp3s0", "52:54:00:00:00:03", True, 10000, "ixgbe", (), "0000:03:00.0"),
)
_HARDWARE = Hardware("amd64", cpu=HardwareCpu("x", 1, 4, 8), memory=16 * GIB, disks=(_DISK,), nics=_NICS)

NETWORKS: dict[str, list[dict[str, Any]]] = {
    "dhcp": [],
    "named": [{"name": "enp1s0", "mtu": 9000}],
    "static": [{"name": "enp1s0", "addresses": ["10.0.0.5/24", "fd00::5/64"], "gateway": "10.0.0.1"}],
    "bond": [
        {"name": "bond0", "bond": ["enp1s0", "enp2s0"], "bondMode": "802.3ad", "addresses": ["10.0.0.5/24"]}
    ],
    "vlan": [
        {"name": "bond0", "bond": ["enp1s0", "enp2s0"], "dhcp": False},
        {"name": "bond0.7", "vlan": 7, "addresses": ["10.0.0.5/24"], "gateway": "10.0.0.1"},
    ],
    "vlan-alone": [{"name": "enp1s0.7", "vlan": 7}],
    "mac": [{"name": "lan0", "match": {"mac": "52:54:00:00:00:01"}}],
    "selector": [
        {
            "name": "lan0",
            "match": {"driver": "igb*", "busPath": "0000:02:*", "physical": True},
            "addresses": ["10.0.0.5/24"],
            "gateway": "10.0.0.1",
        },
        {"name": "lan1", "match": {"driver": "ixgbe"}, "dhcp": False, "mtu": 9000},
    ],
    "auto": [{"name": "lan0", "match": {"auto": True}}, {"name": "lan1", "match": {"auto": True}}],
    "matched-bond": [
        {"name": "lan0", "match": {"mac": "52:54:00:00:00:01"}},
        {"name": "lan1", "match": {"driver": "ixgbe"}},
        {"name": "bond0", "bond": ["lan0", "lan1"], "dhcp": False},
        {"name": "bond0.7", "vlan": 7, "addresses": ["10.0.0.5/24"], "gateway": "10.0.0.1"},
    ],
    "matched-vlan": [
        {"name": "lan0", "match": {"mac": "52:54:00:00:00:0*", "driver": "ixgbe"}, "dhcp": False},
        {"name": "lan0.7", "vlan": 7},
    ],
}
MUCH: dict[str, Any] = {
    "timeServers": ["10.0.0.1"],
    "nameservers": ["10.0.0.2", "fd00::2"],
    "registryMirrors": {"docker.io": ["https://m.example", "https://n.example/v2/x"]},
    "registryCAs": {"m.example:5000": secrets.from_yaml(BUNDLE.read_text(), check=False).etcd.crt},
    "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128", "noProxy": ["10.0.0.0/8"]},
    "sysctls": {"vm.max_map_count": 262144},
    "kernelModules": [{"name": "dm_thin_pool", "parameters": ["a=1"]}],
    "nodeLabels": {"rack": "1"},
    "nodeTaints": {"gpu": "yes:NoSchedule"},
    "longhorn": True,
    "nvidia": True,
}
FEATURES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "much": (MUCH, {}),
    "apart": (
        {"timeDisabled": True},
        {"cni": "none", "kubeProxy": False, "discovery": False, "certSANs": ["api.example"]},
    ),
}


@cache
def bundle() -> secrets.SecretsBundle:
    return secrets.from_yaml(BUNDLE.read_text())


@cache
def rotating() -> secrets.SecretsBundle:
    """As in the middle of a rotation: further authorities are accepted."""
    ours = bundle()
    others = secrets.Accepted(
        os=(ours.etcd.crt,), k8s=(ours.etcd.crt, ours.os.crt), k8s_aggregator=(ours.os.crt,)
    )
    return authorities.with_accepted(ours, others)


def render(
    minor: str,
    role: str,
    network: str = "dhcp",
    features: str = "plain",
    profile: Any = None,
    patches: tuple[Any, ...] = (),
    more: dict[str, Any] | None = None,
    of: secrets.SecretsBundle | None = None,
) -> str:
    contract = CONTRACTS[minor]
    settings, of_cluster = FEATURES[features]
    settings = {**settings, "network": {"interfaces": NETWORKS[network]}}
    if settings.get("nameservers") and contract.search_domains:
        settings["searchDomains"] = ["a.example"]
    settings |= more or {}
    vip = {"vip": "10.0.0.10"} if network != "dhcp" and role == "controlplane" else {}
    node = Node(
        "kn-1",
        "kn",
        "kn",
        role,
        address="10.0.0.5",
        image=Image(f"{minor}.0"),
        settings=settings,
        patches=patches,
    )
    cluster = Cluster(
        "kn", "kn", ENDPOINT, contract.default_kubernetes, ("kn-1",), settings={**of_cluster, **vip}
    )
    return of_node(node, cluster, profile, of=of)


def of_node(
    node: Node,
    cluster: Cluster,
    profile: Any = None,
    files: Any = None,
    of: secrets.SecretsBundle | None = None,
) -> str:
    choice = disks.choose(Disk(), _HARDWARE, minimum=1)
    return machineconfig.render(
        node, cluster, of or bundle(), choice, hardware=_HARDWARE, profile=profile, files=files
    ).text


def points(minor: str) -> Iterator[tuple[str, str]]:
    """A name and the text, for one minor."""
    profiles = load_profiles()
    for role in ("controlplane", "worker", "appliance"):
        for network in NETWORKS:
            for features in FEATURES:
                yield f"{role}-{network}-{features}", render(minor, role, network, features)
        yield f"{role}-rotating", render(minor, role, of=rotating())
        for profile in profiles:
            yield f"{role}-{profile.name}", render(minor, role, "static", "much", profile)
