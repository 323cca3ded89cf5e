"""Every configuration we render is what the official library of that Talos minor loads and accepts, without a
warning; and for the same secrets it says what the official generator says, but for a written list.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from inventory.errors import OperatorError, SiteFileError
from inventory.resolve import load_files
from roles import secrets
from roles.config_check import problems
from tests.contract.talos import judges, matrix

pytestmark = [pytest.mark.needs("go"), pytest.mark.slow]

# What we write otherwise than the official generator, and why: docs/machine-configuration.md.
DELIBERATE = (
    "debug",
    "persist",
    "machine.certSANs",
    "machine.install.disk",
    "machine.install.image",
    "machine.kubelet.extraConfig",
    "machine.network",  # the host name, which the generator leaves out
    "machine.registries",
    "cluster.apiServer.certSANs",
    "cluster.discovery.registries.service",
    "cluster.extraManifests",
    "cluster.inlineManifests",
    "HostnameConfig",
    # from 1.14 on
    "KubeAPIServerConfig.certExtraSANs",
    "KubeletConfig.config",
    "UnattendedInstallConfig.installer.image",
    "UnattendedInstallConfig.provisioning.diskSelector.match",
)
_EMPTY: tuple[Any, ...] = ({}, [], None)  # left out by one, written by the other: it says the same


@pytest.mark.parametrize("minor", judges.MINORS)
def test_it_is_accepted_without_a_warning(minor: str) -> None:
    made = dict(matrix.points(minor))
    verdicts = dict(zip(made, judges.check(minor, list(made.values())), strict=True))
    assert {name: said for name, said in verdicts.items() if said} == {}
    assert len(made) >= 60


@pytest.mark.parametrize("minor", judges.MINORS)
def test_the_judge_refuses_what_is_wrong(minor: str) -> None:
    good = matrix.render(minor, "worker", "bond", "much")
    wrong = [
        good.replace("    token:", "    tokken: x\n    token:", 1),
        good.replace("type: worker", "type: nonsense", 1),
        good.replace("        crt:", "        crrt: x\n        crt:", 1),
        good.replace("    diskQuotaSupport:", "    diskQuotaSuport: true\n    diskQuotaSupport:", 1),
    ]
    others = good.split("---\n")[1:]
    wrong += [good.replace(document, f"{document}nonsense: 1\n") for document in others]
    assert good not in wrong
    assert [number for number, said in enumerate(judges.check(minor, wrong)) if not said] == []


@pytest.mark.parametrize("minor", judges.MINORS)
@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
def test_nothing_is_dropped_when_it_is_read(minor: str, role: str) -> None:
    """What the library wrote again is what we gave it, but for defaults that it adds and values it formats."""
    for network in ("bond", "selector", "matched-bond"):
        ours = matrix.render(minor, role, network, "much", of=matrix.rotating())
        assert dropped(ours, judges.read(minor, ours)) == set()


def test_that_test_can_fail() -> None:
    ours = matrix.render("1.14", "worker")
    theirs = judges.read("1.14", ours)
    for field in ("workloadIsolation: true\n", "diskQuotaSupport: true\n", "port: 7445\n"):
        assert field in theirs
        assert dropped(ours, theirs.replace(field, "", 1))


def dropped(ours: str, theirs: str) -> set[str]:
    kept = flat(theirs)
    return {path for path, value in flat(ours).items() if not _same(value, kept.get(path))}


@pytest.mark.parametrize("minor", judges.MINORS)
def test_it_says_what_the_official_generator_says(minor: str) -> None:
    official = judges.generate(
        minor,
        minor,
        bundle=str(matrix.BUNDLE),
        cluster="kn",
        endpoint=matrix.ENDPOINT,
        kubernetes=matrix.CONTRACTS[minor].default_kubernetes,
        disk="/dev/sda",
        image="x",
    )
    for role, text in official.items():
        theirs, ours = flat(text), flat(matrix.render(minor, role))
        different = {key for key in theirs.keys() | ours.keys() if not _same(theirs.get(key), ours.get(key))}
        assert {key for key in different if not key.startswith(DELIBERATE)} == set()
        assert len(ours) > 20


@pytest.mark.parametrize("minor", judges.MINORS)
def test_a_bundle_in_a_rotation_is_still_a_bundle_to_others(minor: str, tmp_path: Path) -> None:
    """They load it without the key that is ours, and ours differs by what that key says."""
    file = tmp_path / "rotating.yaml"
    file.write_text(secrets.to_yaml(matrix.rotating()))
    asked = {"cluster": "kn", "endpoint": matrix.ENDPOINT, "disk": "/dev/sda", "image": "x"}
    version = matrix.CONTRACTS[minor].default_kubernetes
    made = {
        name: judges.generate(minor, minor, bundle=str(path), kubernetes=version, **asked)
        for name, path in (("rotating", file), ("plain", matrix.BUNDLE))
    }
    assert made["rotating"] == made["plain"]
    for role in ("controlplane", "worker"):
        plain, ours = (flat(matrix.render(minor, role, of=of)) for of in (None, matrix.rotating()))
        different = {key for key in plain.keys() | ours.keys() if plain.get(key) != ours.get(key)}
        assert {key.rpartition(".")[2] for key in different} == {"acceptedCAs"}
        assert len(different) == (3 if (minor, role) == ("1.14", "controlplane") else 2)


def _same(theirs: Any, ours: Any) -> bool:
    return theirs == ours or (theirs in _EMPTY and ours in _EMPTY)


def flat(text: str) -> dict[str, Any]:
    """Path → value, over all documents; a document's path begins with its kind, and its name if it has one."""
    leaves: dict[str, Any] = {}
    for document in yaml.safe_load_all(text):
        identity = (document.get("kind", ""), document.get("name", ""))
        leaves |= _leaves(document, "/".join(filter(None, identity)))
    return leaves


def _dense(value: Any) -> Any:
    """Without what is empty inside of lists: one writes it, the other leaves it out."""
    if isinstance(value, dict):
        return {key: item for key, each in value.items() if (item := _dense(each)) not in _EMPTY}
    return [_dense(item) for item in value] if isinstance(value, list) else value


def _leaves(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: _dense(value)}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{path}.{key}".lstrip("."))
    return found


_JSON_PATCHES: list[dict[str, Any]] = [
    {"op": "add", "path": "/machine/sysctls", "value": {"a.b": "1"}},
    {"op": "replace", "path": "/machine/kubelet/image", "value": "ghcr.io/siderolabs/kubelet:v1.34.0"},
    {"op": "add", "path": "/machine/certSANs/-", "value": "a.example"},
    {"op": "add", "path": "/machine/certSANs/0", "value": "b.example"},
    {"op": "copy", "from": "/machine/certSANs/0", "path": "/machine/certSANs/-"},
    {"op": "move", "from": "/machine/sysctls/a.b", "path": "/machine/sysctls/c~1d"},
    {"op": "test", "path": "/machine/type", "value": "worker"},
    {"op": "remove", "path": "/cluster/discovery"},
]


def test_json_patches_do_what_the_official_patcher_does() -> None:
    """On the single document of 1.11; upstream refuses them where there are several."""
    plain = matrix.render("1.11", "worker")
    [answer] = judges.ask("1.11", [{"op": "patch", "config": plain, "patches": [json.dumps(_JSON_PATCHES)]}])
    assert answer["error"] == ""
    [theirs] = yaml.safe_load_all(answer["config"])
    [ours] = yaml.safe_load_all(matrix.render("1.11", "worker", patches=tuple(_JSON_PATCHES)))
    assert ours == theirs


# Strategic merge patches of documents: one that is there, one that is new, and each rule that is not "merge".
_STRATEGIC = (
    """
    {apiVersion: v1alpha1, kind: KubeletConfig, config: {maxPods: 200, systemReserved: {cpu: 900m}},
     extraArgs: {v: "2"}}
    """,
    "{apiVersion: v1alpha1, kind: KubeletConfig, extraArgs: {v: '3', feature-gates: [A=true, B=true]}}",
    "{apiVersion: v1alpha1, kind: KubeNetworkConfig, podSubnets: [10.1.0.0/16], serviceSubnets: [10.2.0.0/16]}",
    "{apiVersion: v1alpha1, kind: ResolverConfig, searchDomains: {domains: [b.example]}}",
    "{apiVersion: v1alpha1, kind: ResolverConfig, nameservers: [{address: 10.0.0.9}]}",
    "{apiVersion: v1alpha1, kind: SysctlConfig, params: {a.b: '1', vm.max_map_count: '5'}}",
    "{apiVersion: v1alpha1, kind: KernelModuleConfig, name: dm_thin_pool, parameters: [b=2]}",
    "{apiVersion: v1alpha1, kind: KernelModuleConfig, name: another}",
    "{apiVersion: v1alpha1, kind: KubeNodeConfig, labels: {rack: {$patch: delete}, zone: z}}",
    "{apiVersion: v1alpha1, kind: SecurityProfileConfig, $patch: delete}",
    "{apiVersion: v1alpha1, kind: UserVolumeConfig, name: longhorn, mount: {secure: false}}",
    "{machine: {certSANs: [x.example], features: {nodeAddressSortAlgorithm: v2}}}",
)
_OF_CONTROL_PLANES = (
    """
    {apiVersion: v1alpha1, kind: KubeAuditPolicyConfig,
     configuration: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}}
    """,
    """
    {apiVersion: v1alpha1, kind: KubeAdmissionControlConfig, name: PodSecurity,
     configuration: {exemptions: {namespaces: [longhorn-system]}}}
    """,
    "{apiVersion: v1alpha1, kind: KubeAPIServerConfig, extraArgs: {v: '4'}, certExtraSANs: [y.example]}",
    "{apiVersion: v1alpha1, kind: KubeAuthenticationConfig, configuration: {anonymous: {enabled: false}}}",
    "{apiVersion: v1alpha1, kind: KubeProxyConfig, mode: nftables}",
    "{apiVersion: v1alpha1, kind: KubeInlineManifestConfig, name: a, manifest: 'kind: X'}",
)


@pytest.mark.parametrize(
    ("role", "texts"), [("worker", _STRATEGIC), ("controlplane", _STRATEGIC + _OF_CONTROL_PLANES)]
)
def test_patches_of_documents_do_what_the_official_patcher_does(role: str, texts: tuple[str, ...]) -> None:
    plain = matrix.render("1.14", role, "static", "much")
    theirs = flat(judges.patched("1.14", plain, texts))
    patched = matrix.render("1.14", role, "static", "much", patches=tuple(map(yaml.safe_load, texts)))
    ours = flat(patched)
    different = {key for key in theirs.keys() | ours.keys() if not _same(theirs.get(key), ours.get(key))}
    assert {key: (theirs.get(key), ours.get(key)) for key in different} == {}
    assert judges.check("1.14", [patched]) == [""]


_NAMES = st.sampled_from(["enp1s0", "enp2s0", "bond0", "bond0.7", "enp1s0.9", "lan0"])
_CARDS = st.sampled_from(
    [
        {"mac": "52:54:00:00:00:01"},
        {"driver": "igb", "busPath": "0000:02:*"},
        {"driver": "ixgbe", "physical": True},
        {"auto": True},
    ]
)
_INTERFACE = st.fixed_dictionaries(
    {"name": _NAMES},
    optional={
        "dhcp": st.booleans(),
        "addresses": st.lists(
            st.sampled_from(["10.0.0.5/24", "10.9.0.5/16", "fd00::5/64"]), min_size=1, unique=True
        ),
        "gateway": st.sampled_from(["10.0.0.1", "fd00::1"]),
        "mtu": st.integers(576, 9000),
        "match": _CARDS,
        "bond": st.lists(st.sampled_from(["eth0", "eth1"]), min_size=1, unique=True),
        "bondMode": st.sampled_from(["active-backup", "802.3ad", "balance-alb"]),
        "vlan": st.integers(1, 4094),
        "parent": st.sampled_from(["bond0", "eth2"]),
    },
)
_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "network": st.fixed_dictionaries({"interfaces": st.lists(_INTERFACE, max_size=2)}),
        "timeServers": st.lists(st.sampled_from(["10.0.0.1", "ntp.example", "fd00::1"]), unique=True),
        "timeDisabled": st.booleans(),
        "nameservers": st.lists(st.sampled_from(["10.0.0.2", "fd00::2"]), unique=True),
        "registryMirrors": st.just({"docker.io": ["https://m.example/v2/x"], "*": ["http://n.example:5000"]}),
        "proxy": st.just({"http": "http://proxy:3128", "noProxy": ["10.0.0.0/8", ".example"]}),
        "sysctls": st.dictionaries(
            st.sampled_from(["vm.max_map_count", "net.ipv4.conf.eth0/1.rp_filter"]), st.integers(0, 1)
        ),
        "kernelModules": st.just([{"name": "dm_thin_pool", "parameters": ["a=1"]}, {"name": "nvidia"}]),
        "nodeLabels": st.dictionaries(
            st.sampled_from(["rack", "a.example/b"]), st.sampled_from(["", "on", "1"])
        ),
        "nodeTaints": st.just({"gpu": "yes:NoSchedule"}),
        "longhorn": st.booleans(),
        "nvidia": st.booleans(),
    },
)
_CLUSTERS = st.fixed_dictionaries(
    {},
    optional={
        "vip": st.just("10.0.0.10"),
        "kubeProxy": st.booleans(),
        "cni": st.sampled_from(["none", "flannel"]),
        "discovery": st.booleans(),
        "allowSchedulingOnControlPlanes": st.booleans(),
        "certSANs": st.lists(st.sampled_from(["api.example", "10.1.1.1"]), unique=True),
        "podCIDR": st.sampled_from(["10.1.0.0/16", "fd00:1::/56"]),
        "serviceCIDR": st.sampled_from(["10.2.0.0/16", "fd00:2::/112"]),
    },
)
_ROLES = st.sampled_from(["controlplane", "worker", "appliance"])
_SITES = st.lists(st.tuples(_ROLES, _SETTINGS, _CLUSTERS), min_size=40, max_size=60)


def _rendered(minor: str, role: str, settings: dict[str, Any], cluster: dict[str, Any]) -> str:
    """The configuration of this site's node; or nothing where it is refused, and then with a path and a fix."""
    node = {"name": "kn-1", "role": role, "address": "10.0.0.5", "settings": settings}
    leader = {"name": "kn-0", "role": "controlplane", "address": "10.0.0.4"}
    leader["settings"] = {"network": {"interfaces": [{"name": "enp1s0"}]}}
    spec = {"site": "kn", "kubernetes": matrix.CONTRACTS[minor].default_kubernetes, **cluster}
    spec["nodes"] = [leader, node] if role == "worker" else [node]
    spec["defaults"] = {"image": {"talos": f"{minor}.0"}, "delivery": {"method": "state"}}
    documents = [
        {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": "kn"}, "spec": body}
        for kind, body in (("Organization", {}), ("Site", {"timezone": "UTC"}), ("Cluster", spec))
    ]
    text, unsaid = "", []
    try:
        fleet = load_files({"kn.yaml": yaml.safe_dump_all(documents)}).fleet
        text = matrix.of_node(fleet.nodes["kn-1"], fleet.clusters["kn"])
    except SiteFileError as error:
        unsaid = [one for one in error.problems if not (one.path and one.file and one.fix)]
    except OperatorError as error:
        unsaid = [] if error.where and error.fix else [error]
    assert unsaid == []
    return text


@pytest.mark.parametrize("minor", judges.MINORS)
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(drawn=_SITES)
def test_what_a_site_file_may_say_talos_accepts(minor: str, drawn: list[Any]) -> None:
    """Whatever is not refused, with a path, is a configuration that this minor accepts without a warning."""
    texts = [text for role, node, cluster in drawn if (text := _rendered(minor, role, node, cluster))]
    event(f"{len(texts) * 10 // len(drawn)} of 10 accepted")
    assert [said for said in judges.check(minor, texts) if said] == []
    assert [said for text in texts for said in problems(text, matrix.CONTRACTS[minor])] == []
