"""Cilium and Argo CD as manifests of a control plane's configuration."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from facts.machine_model import Hardware
from inventory.errors import OperatorError
from inventory.fleet import Cluster, Disk, Node
from roles import cilium_job, disks, machineconfig, platform
from roles.platform import InlineManifest, Source
from roles.platform_files import MAX_BYTES, parse
from roles.secrets import SecretsBundle

FIXTURES = Path(__file__).parents[2] / "fixtures" / "platform"
CILIUM = {"cni": "cilium", "cilium": {"version": "1.18.2"}}
ARGOCD = {"argocd": {"version": "3.1.8"}}
FILE = InlineManifest("argocd", "kind: Some", ("quay.io/argoproj/argocd:v3.1.8",))


def cluster_of(**settings: Any) -> Cluster:
    return Cluster("b", "b", "https://10.0.0.10:6443", "1.36.3", ("n",), settings=settings)


def job_of(cluster: Cluster, **proxy: str) -> dict[str, Any]:
    [made] = platform.manifests(cluster, {}, proxy=proxy)
    objects = {item["kind"]: item for item in yaml.safe_load_all(made.contents)}
    assert list(objects) == ["ServiceAccount", "ClusterRoleBinding", "Job"]
    return objects["Job"]["spec"]["template"]["spec"]


def source(part: str = "argocd", namespace: str = "argocd") -> Source:
    return Source(part, f"/srv/{part}.yaml", "", namespace)


# Which cluster carries what


def test_nothing_is_carried_by_default() -> None:
    for cni in ("flannel", "none"):
        cluster = cluster_of(cni=cni)
        assert platform.sources(cluster) == ()
        assert platform.manifests(cluster, {}, proxy={}) == ()
        assert platform.kube_proxy(cluster)
        assert platform.own_cni(cluster) is (cni == "none")


@pytest.mark.parametrize(("said", "runs"), [({}, False), ({"kubeProxy": True}, True)])
def test_cilium_takes_kube_proxys_place_unless_the_file_wants_both(said: dict[str, Any], runs: bool) -> None:
    cluster = cluster_of(**CILIUM, **said)
    assert platform.own_cni(cluster)
    assert platform.kube_proxy(cluster) is runs
    command = job_of(cluster)["containers"][0]["command"]
    assert f"--set=kubeProxyReplacement={'false' if runs else 'true'}" in command


def test_argocd_is_its_namespace_and_its_manifest() -> None:
    cluster = cluster_of(**ARGOCD)
    [wanted] = platform.sources(cluster)
    assert wanted.url.endswith("/argoproj/argo-cd/v3.1.8/manifests/install.yaml")
    namespace, manifest = platform.manifests(cluster, {"argocd": FILE}, proxy={})
    assert manifest is FILE
    [made] = yaml.safe_load_all(namespace.contents)
    assert (made["kind"], made["metadata"]["name"]) == ("Namespace", "argocd")
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


def test_a_manifest_of_ones_own_stands_in_for_the_job() -> None:
    cluster = cluster_of(cni="cilium", cilium={"manifest": "/srv/cilium.yaml", "sha256": "0" * 64})
    assert platform.sources(cluster) == (Source("cilium", "/srv/cilium.yaml", "0" * 64, "kube-system"),)
    own = InlineManifest("cilium", "x")
    assert platform.manifests(cluster, {"cilium": own}, proxy={}) == (own,)
    with pytest.raises(OperatorError, match="manifest of cilium was not read"):
        platform.manifests(cluster, {}, proxy={})


def test_a_cilium_that_is_not_the_pod_network_is_not_read() -> None:
    assert platform.sources(cluster_of(cni="flannel", cilium={"manifest": "/srv/cilium.yaml"})) == ()


# The job


def test_the_job_runs_where_nothing_works_yet() -> None:
    pod = job_of(cluster_of(**CILIUM))
    assert pod["hostNetwork"] is True
    assert pod["dnsPolicy"] == "Default"
    assert pod["tolerations"] == [{"operator": "Exists"}]
    [container] = pod["containers"]
    variables = {item["name"]: item["value"] for item in container["env"]}
    assert variables == {"KUBERNETES_SERVICE_HOST": "localhost", "KUBERNETES_SERVICE_PORT": "7445"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_job_says_what_talos_needs() -> None:
    command = job_of(cluster_of(**CILIUM))["containers"][0]["command"]
    assert command[:3] == ["cilium", "install", "--version=1.18.2"]
    assert {
        "--set=ipam.mode=kubernetes",
        "--set=cgroup.autoMount.enabled=false",
        "--set=cgroup.hostRoot=/sys/fs/cgroup",
        "--set=k8sServiceHost=localhost",
        "--set=k8sServicePort=7445",
    } <= set(command)
    assert not any("SYS_MODULE" in word for word in command)


def test_the_job_keeps_its_name_when_the_version_changes() -> None:
    """A job of another name would be run by Talos at once, and replace the pod network of a running cluster."""
    names = set()
    for version in ("1.18.2", "1.19.0"):
        [made] = platform.manifests(cluster_of(cni="cilium", cilium={"version": version}), {}, proxy={})
        names |= {item["metadata"]["name"] for item in yaml.safe_load_all(made.contents)}
        assert "ttlSecondsAfterFinished" not in made.contents  # Talos would make it, and so run it, again
    assert names == {"cilium-install"}


def test_values_images_and_the_proxy_are_passed_on() -> None:
    options = {"version": "1.18.2", "installer": "m.example/cli@sha256:" + "0" * 64}
    values = {"hubble.relay.enabled": "true", "kubeProxyReplacement": "false"}
    cluster = cluster_of(cni="cilium", cilium={**options, "values": values})
    [container] = job_of(cluster, https_proxy="http://proxy:3128", no_proxy="localhost")["containers"]
    assert container["image"] == options["installer"]
    assert "--set=hubble.relay.enabled=true" in container["command"]
    assert "--set=kubeProxyReplacement=false" in container["command"]  # the file has the last word
    assert "--set=kubeProxyReplacement=true" not in container["command"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
    [made] = platform.manifests(cluster, {}, proxy={})
    assert made.images[0] == options["installer"]
    assert "quay.io/cilium/operator-generic:v1.18.2" in made.images


@given(st.text(max_size=40))
def test_no_value_becomes_another_argument(value: str) -> None:
    """There is no shell: what a file says stays one argument, also through YAML."""
    objects = cilium_job.objects("1.18.2", "a/b:c", replace_kube_proxy=True, values={"a": value}, proxy={})
    text = platform._text(objects)
    try:
        read = list(yaml.safe_load_all(text))
    except yaml.YAMLError:  # control characters, which a site file can't hold
        return
    if value.isprintable():
        assert read[2]["spec"]["template"]["spec"]["containers"][0]["command"][-1] == f"--set=a={value}"


# Manifest files


def test_objects_get_their_namespace_and_nothing_else_changes() -> None:
    text = (FIXTURES / "argocd.yaml").read_text()
    made = parse(text, source())
    before = [item for item in yaml.safe_load_all(text) if item]
    after = list(yaml.safe_load_all(made.contents))
    namespaced = {"ServiceAccount", "Secret", "ConfigMap", "Deployment"}
    assert {item["kind"] for item in after if item["metadata"].get("namespace") == "argocd"} == namespaced
    for item in after:
        item["metadata"].pop("namespace", None)
    assert after == before
    assert "defaultMode: 0755" in made.contents  # read as a number and written, it would be 493


def test_images_are_listed_once() -> None:
    made = parse((FIXTURES / "argocd.yaml").read_text(), source())
    assert made.images == (
        "quay.io/argoproj/argocd:v3.1.8",
        "public.ecr.aws/docker/library/redis:7.2.11-alpine",
    )


def test_a_complete_text_stays_as_it_is() -> None:
    text = (FIXTURES / "cilium.yaml").read_text()
    made = parse(text, source("cilium", "kube-system"))
    assert made.contents == text
    assert len(made.images) == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no object"),
        ("---\n", "holds no object"),
        ("a: [", "is no YAML"),
        ("just text", "no Kubernetes object"),
        ("apiVersion: v1\nkind: Pod\n", "no Kubernetes object"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {namespace: a}\n", "Pod without a name"),
        ("apiVersion: v1\nkind: List\nmetadata: {name: a}\nitems: []\n", "List without a name"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: ca}\ndata: {a: eA==}\n", "Secret ca with contents"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: x}\n", "Secret a with contents"),
        ("#" * (MAX_BYTES + 1), "more than 4 MiB"),
    ],
)
def test_what_has_no_place_in_a_configuration_is_refused(text: str, what: str) -> None:
    with pytest.raises(OperatorError, match=what) as refused:
        parse(text, source())
    assert "/srv/argocd.yaml" in str(refused.value.where)
    assert refused.value.fix


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(_JSON, max_size=3))
def test_any_documents_are_taken_or_refused(documents: list[Any]) -> None:
    text = "---\n".join(json.dumps(item) + "\n" for item in documents)
    with suppress(OperatorError):
        assert parse(text, source()).contents


_TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    st.dictionaries(_TEXT, _TEXT, max_size=4),
    st.sampled_from(["ConfigMap", "Service", "ClusterRole"]),
)
def test_a_namespace_is_added_to_any_object(data: dict[str, str], kind: str) -> None:
    given_ = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "labels": data}, "data": data}
    made = parse(json.dumps(given_), source())
    [read] = yaml.safe_load_all(made.contents)
    assert read["metadata"].pop("namespace", None) == (None if kind == "ClusterRole" else "argocd")
    assert read == given_


# In the configuration


@pytest.fixture
def rendered(
    bundle: SecretsBundle,
    make_node: Callable[..., Node],
    make_hardware: Callable[..., Hardware],
) -> Callable[..., Any]:
    def make(role: str, settings: dict[str, Any], **more: Any) -> Any:
        hardware = make_hardware()
        choice = disks.choose(Disk(), hardware, minimum=1)
        node, cluster = make_node(role), cluster_of(**settings)
        return machineconfig.render(node, cluster, bundle, choice, hardware=hardware, **more)

    return make


def test_control_planes_carry_them_and_workers_do_not(rendered: Callable[..., Any]) -> None:
    plane = next(yaml.safe_load_all(rendered("controlplane", CILIUM).text))["cluster"]
    assert plane["network"]["cni"] == {"name": "none"}
    assert plane["proxy"]["disabled"] is True
    assert [item["name"] for item in plane["inlineManifests"]] == ["cilium"]
    worker = next(yaml.safe_load_all(rendered("worker", {**CILIUM, **ARGOCD}).text))["cluster"]
    assert worker["network"]["cni"] == {"name": "none"}
    assert "inlineManifests" not in worker


def test_a_manifest_survives_the_configuration_byte_for_byte(rendered: Callable[..., Any]) -> None:
    made = parse((FIXTURES / "argocd.yaml").read_text(), source())
    text = rendered("appliance", ARGOCD, files={"argocd": made}).text
    [namespace, manifest] = next(yaml.safe_load_all(text))["cluster"]["inlineManifests"]
    assert namespace["name"] == "argocd-namespace"
    assert manifest == {"name": "argocd", "contents": made.contents}


def test_a_control_plane_without_its_manifest_is_refused(rendered: Callable[..., Any]) -> None:
    with pytest.raises(OperatorError, match="manifest of argocd was not read"):
        rendered("controlplane", ARGOCD)


def test_what_no_volume_can_deliver_is_refused_before_anything_is_written(
    rendered: Callable[..., Any],
) -> None:
    """Short lines grow most when a text is put into another."""
    lines = "-\n" * (machineconfig.MAX_BYTES // 8)
    with pytest.raises(OperatorError, match="more than can be delivered"):
        rendered("controlplane", ARGOCD, files={"argocd": InlineManifest("argocd", lines)})
