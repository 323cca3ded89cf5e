"""Rendered configurations: equal to the official generator's but for a written list, deterministic, complete."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.hardware import load_profiles
from facts.machine_model import Hardware, HardwareCpu
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Cluster, Disk, Image, Node
from roles import disks, features, machineconfig, schematic
from roles.machineconfig import Rendered
from roles.secrets import SecretsBundle, b64
from tests.contract.talos import matrix

Render = Callable[..., Rendered]

# What we write otherwise than `talosctl gen config`, and why: docs/machine-configuration.md.
DELIBERATE = {
    "version",
    "debug",
    "persist",
    "machine.certSANs",
    "machine.install.disk",
    "machine.install.image",
    "machine.kubelet.extraConfig",
    "machine.registries",
    "cluster.apiServer.certSANs",
    "cluster.discovery.registries.service",
    "cluster.extraManifests",
    "cluster.inlineManifests",
}


@pytest.fixture
def render(
    bundle: SecretsBundle,
    make_node: Callable[..., Node],
    make_cluster: Callable[..., Cluster],
    make_hardware: Callable[..., Hardware],
) -> Render:
    def make(role: str = "controlplane", *, cluster: dict[str, Any] | None = None, **more: Any) -> Rendered:
        hardware = more.pop("hardware", make_hardware())
        profile = more.pop("profile", None)
        choice = disks.choose(Disk(), hardware, minimum=1)
        return machineconfig.render(
            make_node(role, **more),
            make_cluster(**(cluster or {})),
            bundle,
            choice,
            hardware=hardware,
            profile=profile,
        )

    return make


def main(rendered: Rendered) -> dict[str, Any]:
    return next(yaml.safe_load_all(rendered.text))


def kinds(rendered: Rendered) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in list(yaml.safe_load_all(rendered.text))[1:]}


def flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {
            key: leaf
            for name, item in value.items()
            for key, leaf in flat(item, f"{path}.{name}".strip(".")).items()
        }
    return {path: value}


@pytest.mark.parametrize("role", ["controlplane", "worker"])
def test_as_the_official_generator(render: Render, role_fixtures: Path, role: str) -> None:
    official = flat(next(yaml.safe_load_all((role_fixtures / f"official-{role}.yaml").read_text())))
    ours = flat(main(render(role)))
    different = {key for key in official.keys() | ours.keys() if official.get(key) != ours.get(key)}
    assert {key for key in different if not any(key.startswith(known) for known in DELIBERATE)} == set()


def test_equal_inputs_give_equal_bytes(render: Render) -> None:
    first, second = render(settings={"longhorn": True}), render(settings={"longhorn": True})
    assert first == second
    assert first.digest == hashlib.sha256(first.text.encode()).hexdigest()
    assert first.digest != render().digest


def test_a_worker_gets_no_key(render: Render, bundle: SecretsBundle) -> None:
    text = render("worker").text
    keys = [
        bundle.os.key,
        bundle.k8s.key,
        bundle.etcd.key,
        bundle.k8s_aggregator.key,
        bundle.k8s_service_account_key,
    ]
    assert [key for key in keys if b64(key) in text] == []
    assert bundle.secretbox_secret not in text
    assert main(render("worker"))["machine"]["ca"] == {"crt": b64(bundle.os.crt), "key": ""}
    assert not {"etcd", "aggregatorCA", "serviceAccount", "apiServer"} & set(
        main(render("worker"))["cluster"]
    )


def test_repr_shows_no_secret(render: Render, bundle: SecretsBundle) -> None:
    assert bundle.trustd_token not in repr(render())


def test_the_machine(render: Render) -> None:
    machine = main(render())["machine"]
    assert machine["type"] == "controlplane"
    assert machine["install"] == {
        "disk": "/dev/disk/by-id/nvme0n1-id",
        "image": f"factory.talos.dev/metal-installer/{schematic.predict((), ('talos.config=metal-iso',)).id}:v1.13.9",
        "wipe": False,
        "grubUseUKICmdline": True,
    }
    assert machine["certSANs"] == ["10.0.0.5"]
    assert kinds(render())["HostnameConfig"]["hostname"] == "kn-1"


def test_names_in_certificates(render: Render) -> None:
    cluster = {"endpoint": "https://api.example:6443", "settings": {"certSANs": ["10.0.0.9", "api.example"]}}
    made = main(render(cluster=cluster, talos_address="10.0.0.7"))
    assert made["machine"]["certSANs"] == ["10.0.0.7", "10.0.0.5", "api.example", "10.0.0.9"]
    assert made["cluster"]["apiServer"]["certSANs"] == ["api.example", "10.0.0.9"]
    worker = main(render("worker", cluster=cluster, talos_address="10.0.0.7"))
    assert worker["machine"]["certSANs"] == ["10.0.0.7", "10.0.0.5"]


@pytest.mark.parametrize(
    ("role", "allowed", "schedulable", "excluded"),
    [
        ("controlplane", False, None, True),
        ("controlplane", True, True, False),
        ("appliance", False, True, False),
        ("worker", False, None, False),
    ],
)
def test_where_workloads_run(
    render: Render, role: str, allowed: bool, schedulable: bool | None, excluded: bool
) -> None:
    made = main(render(role, cluster={"allow_scheduling_on_control_planes": allowed}))
    assert made["cluster"].get("allowSchedulingOnControlPlanes") is schedulable
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    assert (label in made["machine"].get("nodeLabels", {})) is excluded


def test_settings_become_documents(render: Render) -> None:
    made = kinds(
        render(
            settings={
                "timeServers": ["10.0.0.1"],
                "nameservers": ["10.0.0.2"],
                "searchDomains": ["a.example"],
                "registryMirrors": {"docker.io": ["https://m.example"]},
                "proxy": {"http": "http://p:1", "https": "http://p:2", "noProxy": ["b.example", "localhost"]},
            }
        )
    )
    assert made["TimeSyncConfig"] == {
        "apiVersion": "v1alpha1", "kind": "TimeSyncConfig", "enabled": True, "ntp": {"servers": ["10.0.0.1"]},
    }  # fmt: skip
    assert made["ResolverConfig"]["nameservers"] == [{"address": "10.0.0.2"}]
    assert made["ResolverConfig"]["searchDomains"] == {"domains": ["a.example"]}
    assert made["RegistryMirrorConfig"]["name"] == "docker.io"
    assert made["RegistryMirrorConfig"]["endpoints"] == [{"url": "https://m.example"}]
    assert made["EnvironmentConfig"]["variables"] == {
        "http_proxy": "http://p:1",
        "https_proxy": "http://p:2",
        "no_proxy": "localhost,127.0.0.1,10.244.0.0/16,10.96.0.0/12,.svc,.cluster.local,10.0.0.5,b.example",
    }


def test_without_settings_there_is_only_the_host_name(render: Render) -> None:
    assert set(kinds(render())) == {"HostnameConfig"}


def test_kernel_and_kubelet_settings(render: Render) -> None:
    profile = replace(
        load_profiles()[0], kernel_modules=("i40e", "nvidia"), sysctls={"net.a": "1", "net.b": "2"}
    )
    settings = {
        "sysctls": {"vm.max_map_count": 262144, "net.b": "mine"},
        "kernelModules": [
            {"name": "dm_thin_pool", "parameters": ["a=1"]},
            {"name": "nvidia", "parameters": ["x"]},
        ],
        "nodeLabels": {"rack": "a1"},
        "nodeTaints": {"gpu": "yes:NoSchedule"},
        "longhorn": True,
        "nvidia": True,
    }
    machine = main(render("worker", settings=settings, profile=profile))["machine"]
    assert machine["sysctls"]["vm.max_map_count"] == "262144"
    assert (machine["sysctls"]["net.a"], machine["sysctls"]["net.b"]) == ("1", "mine")
    modules = {module["name"]: module.get("parameters") for module in machine["kernel"]["modules"]}
    assert list(modules)[:2] == ["i40e", "nvidia"]
    assert (modules["dm_thin_pool"], modules["nvidia"], modules["nvidia_uvm"]) == (["a=1"], ["x"], None)
    assert machine["nodeLabels"] == {"rack": "a1"}
    assert machine["nodeTaints"] == {"gpu": "yes:NoSchedule"}
    assert machine["kubelet"]["extraMounts"][0]["destination"] == "/var/lib/longhorn"


@pytest.mark.parametrize(
    ("minor", "softened"), [("1.8", True), ("1.12", True), ("1.13", False), ("1.14", False)]
)
@pytest.mark.parametrize(
    ("said", "branch"), [(True, "production"), ("production", "production"), ("lts", "lts"), (False, "")]
)
def test_nvidia_by_branch_and_by_minor(minor: str, softened: bool, said: Any, branch: str) -> None:
    """The driver's branch is in the names of the extensions; only older minors need a softer JIT."""
    text = matrix.render(minor, "worker", more={"nvidia": said})
    assert ("net.core.bpf_jit_harden" in text) is (softened and bool(branch))
    assert ("nvidia_modeset" in text) is bool(branch)
    names = [
        f"siderolabs/nvidia-{part}-{branch}" for part in ("open-gpu-kernel-modules", "container-toolkit")
    ]
    assert list(features.extensions({"nvidia": said})) == (names if branch else [])
    assert schematic.predict(tuple(names if branch else ()), ("talos.config=metal-iso",)).id in text


def test_the_cluster_s_network(render: Render) -> None:
    settings = {"podCIDR": "10.1.0.0/16", "serviceCIDR": "10.2.0.0/16", "cni": "none", "discovery": False}
    made = render(cluster={"settings": settings})
    assert main(made)["cluster"]["network"] == {
        "dnsDomain": "cluster.local",
        "podSubnets": ["10.1.0.0/16"],
        "serviceSubnets": ["10.2.0.0/16"],
        "cni": {"name": "none"},
    }
    assert main(made)["cluster"]["discovery"] == {"enabled": False}
    assert any("cni: none" in warning for warning in made.warnings)


def test_patches_have_the_last_word_in_their_order(render: Render) -> None:
    made = render(
        settings={"sysctls": {"a.b": 1}},
        patches=(
            {"machine": {"sysctls": {"a.b": "2", "c.d": "2"}}},
            {"machine": {"sysctls": {"c.d": "3"}}},
            {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostname": "other"},
            {"apiVersion": "v1alpha1", "kind": "UserVolumeConfig", "name": "data"},
        ),
    )
    assert main(made)["machine"]["sysctls"] == {"a.b": "2", "c.d": "3"}
    assert kinds(made)["HostnameConfig"]["hostname"] == "other"
    assert kinds(made)["UserVolumeConfig"]["name"] == "data"


def test_a_patch_that_does_not_fit_names_the_node(render: Render) -> None:
    with pytest.raises(OperatorError, match=r"machine\.type") as caught:
        render(patches=({"machine": {"type": []}},))
    assert str(caught.value).startswith("node kn-1: patch 1")


@pytest.mark.parametrize(
    ("talos", "kubernetes", "what"),
    [
        ("1.7.6", "1.30.0", r"Talos 1.7.6 come later"),
        ("1.12.4", "1.36.0", "does not run Kubernetes 1.36.0"),
        ("1.15.0", "1.36.3", "come later"),
        ("1.14.1", "1.31.4", "does not run Kubernetes 1.31.4"),
        ("", "1.36.3", r"\(none given\)"),
        ("1.13.9", "1.30.9", "does not run Kubernetes 1.30.9"),
        ("1.13.9", "1.37.0", "does not run Kubernetes 1.37.0"),
        ("1.13.9", "", "does not run Kubernetes"),
    ],
)
def test_versions_that_are_refused(render: Render, talos: str, kubernetes: str, what: str) -> None:
    with pytest.raises(RefusedError, match=what) as caught:
        render(image=Image(talos), cluster={"kubernetes": kubernetes})
    assert "1.13" in str(caught.value) or "1.3" in caught.value.fix


def test_an_endpoint_without_a_host(render: Render) -> None:
    with pytest.raises(OperatorError, match="has no host"):
        render(cluster={"endpoint": "10.0.0.5:6443"})


def test_warnings_about_time(render: Render) -> None:
    assert any("no time servers" in warning for warning in render().warnings)
    assert render(settings={"timeServers": ["10.0.0.1"]}).warnings == ()
    disabled = render(settings={"timeDisabled": True})
    assert kinds(disabled)["TimeSyncConfig"]["enabled"] is False
    assert any("not synchronized" in warning for warning in disabled.warnings)


def test_warning_about_unknown_size(render: Render, make_hardware: Callable[..., Hardware]) -> None:
    made = render(hardware=make_hardware(memory=0, cpu=HardwareCpu()))
    assert any("smallest reservations" in warning for warning in made.warnings)


_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "timeServers": st.lists(st.sampled_from(["10.0.0.1", "ntp.example"]), unique=True),
        "timeDisabled": st.booleans(),
        "nameservers": st.lists(st.ip_addresses().map(str), max_size=3),
        "searchDomains": st.lists(st.sampled_from(["a.example", "b.example"]), unique=True),
        "registryMirrors": st.dictionaries(
            st.sampled_from(["docker.io", "ghcr.io"]), st.just(["https://m.example"])
        ),
        "sysctls": st.dictionaries(
            st.from_regex(r"[a-z]{1,8}\.[a-z_]{1,8}", fullmatch=True), st.integers() | st.text("ab1 ")
        ),
        "kernelModules": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["a", "b"])})),
        "nodeLabels": st.dictionaries(st.sampled_from(["a", "b/c"]), st.text("abc01.-_", max_size=10)),
        "longhorn": st.booleans(),
        "nvidia": st.booleans(),
    },
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_SETTINGS, st.sampled_from(["controlplane", "worker", "appliance"]))
def test_any_settings_give_whole_documents(render: Render, made: dict[str, Any], role: str) -> None:
    documents = list(yaml.safe_load_all(render(role, settings=made).text))
    assert set(documents[0]) == {"version", "machine", "cluster"}
    assert all(document["apiVersion"] == "v1alpha1" and document["kind"] for document in documents[1:])
    assert documents[0]["machine"].get("sysctls", {}).keys() >= made.get("sysctls", {}).keys()
    names = [(document["kind"], document.get("name")) for document in documents[1:]]
    assert len(names) == len(set(names))


def test_strings_that_look_like_numbers_are_quoted(render: Render) -> None:
    made = render(
        settings={"nodeLabels": {"a": "1e3", "b": "0x1f", "c": "true", "d": "1_0", "e": "no", "f": ".5"}}
    )
    assert main(made)["machine"]["nodeLabels"]["a"] == "1e3"
    for text in ('a: "1e3"', 'b: "0x1f"', "c: 'true'", 'd: "1_0"', "e: 'no'", 'f: ".5"'):
        assert text in made.text
