"""Whatever a site file says of Cilium and Argo CD is refused with its place, or becomes manifests."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import SiteFileError
from inventory.resolve import load_files
from roles import platform

_WORDS = st.sampled_from(["1.18.2", "v1.18.2", "1.18", "latest", "1.19.0-rc.1", "", "/srv/a.yaml", "a.yaml"])
_PLACES = st.sampled_from(["/srv/a.yaml", "file:///a.yaml", "https://m.example/a.yaml", "ftp://a", "a.yaml"])
_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=12)
_CILIUM = st.fixed_dictionaries(
    {},
    optional={
        "version": _WORDS | st.none(),
        "manifest": _PLACES | st.none(),
        "sha256": st.sampled_from(["0" * 64, "0", None]),
        "installer": st.sampled_from(["quay.io/cilium/cilium-cli:v0.18.7", "a:latest", "a/b", None]),
        "values": st.dictionaries(st.sampled_from(["a.b", "hubble.relay.enabled", "a b", ""]), _SCALARS),
        "other": st.just(1),
    },
)
_SPEC = st.fixed_dictionaries(
    {},
    optional={
        "cni": st.sampled_from(["cilium", "none", "flannel", "calico"]),
        "cilium": _CILIUM | st.none() | st.text(max_size=3),
        "argocd": st.fixed_dictionaries({}, optional={"version": _WORDS, "manifest": _PLACES}) | st.none(),
        "kubeProxy": st.booleans(),
    },
)


def load(spec: dict[str, Any]) -> Any:
    node = {"name": "kn-1", "role": "appliance", "address": "10.0.0.5"}
    body = {"site": "kn", "kubernetes": "1.36.3", "nodes": [node], **spec}
    body["defaults"] = {"image": {"talos": "1.13.9"}}
    documents = [
        {"apiVersion": "fleet/v1", "kind": kind, "metadata": {"name": "kn"}, "spec": spec_}
        for kind, spec_ in (("Organization", {}), ("Site", {"timezone": "UTC"}), ("Cluster", body))
    ]
    return load_files({"kn.yaml": yaml.safe_dump_all(documents)})


@given(_SPEC)
def test_refused_with_its_place_or_carried(spec: dict[str, Any]) -> None:
    try:
        cluster = load(spec).fleet.clusters["kn"]
    except SiteFileError as error:
        for problem in error.problems:
            assert problem.path
            assert problem.line
            assert problem.fix
        return
    files = {source.part: platform.InlineManifest(source.part, "x") for source in platform.sources(cluster)}
    carried = platform.manifests(cluster, files, proxy={})
    names = [manifest.name for manifest in carried]
    assert ("cilium" in names) is (spec.get("cni") == "cilium")
    assert ("argocd" in names) is bool(spec.get("argocd"))
    for manifest in carried:
        assert list(yaml.safe_load_all(manifest.contents))


def test_a_layer_below_is_taken_over_and_removed() -> None:
    """A cluster that brings a manifest removes the version that it inherits."""
    fleet = load({"cni": "cilium", "cilium": {"version": None, "manifest": "/srv/a.yaml"}}).fleet
    [source] = platform.sources(fleet.clusters["kn"])
    assert source.url == "/srv/a.yaml"


@pytest.mark.parametrize(
    ("value", "written"), [(True, "true"), (False, "false"), (2, "2"), ("x", "x"), ("1.5", "1.5")]
)
def test_values_are_written_as_the_chart_s_tool_reads_them(value: Any, written: str) -> None:
    cluster = load(
        {"cni": "cilium", "cilium": {"version": "1.18.2", "values": {"a.b": value}}}
    ).fleet.clusters["kn"]
    [made] = platform.manifests(cluster, {}, proxy={})
    assert f"--set=a.b={written}" in made.contents
