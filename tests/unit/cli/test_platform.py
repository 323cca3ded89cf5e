"""Cilium and Argo CD from the site file to what the commands print."""

import json
from pathlib import Path

import pytest
import yaml

FIXTURES = Path(__file__).parents[2] / "fixtures"
FACTS = FIXTURES / "hardware" / "dell-r660.json"
PLATFORM = FIXTURES / "platform"
SITE = """\
apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec: {timezone: UTC, clusterDefaults: {argocd: {version: 3.1.8}}}
---
apiVersion: fleet/v1
kind: Site
metadata: {name: kn}
spec: {}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {name: kn}
spec:
  site: kn
  kubernetes: 1.34.1
  defaults: {image: {talos: 1.13.9}, settings: {timeServers: [10.0.0.1]}}
  nodes:
    - {name: kn-1, role: appliance, address: 10.0.0.5}
"""
OURS = f"argocd: {{version: null, manifest: {PLATFORM / 'argocd.yaml'}}}"


@pytest.fixture
def write(cto, tmp_path):
    """`write("cni: cilium", …)`: the site file with more lines of its cluster; and secrets in the store."""

    def make(*lines):
        (tmp_path / "kn.yaml").write_text(SITE + "".join(f"  {line}\n" for line in lines))
        assert cto("secrets", "import", "kn", FIXTURES / "roles" / "bundle.yaml").code == 0

    return make


def render(cto, *more):
    return cto("machineconfig", "render", "--site", "kn.yaml", "--node", "kn-1", "--facts", FACTS, *more)


def inline(text):
    cluster = next(yaml.safe_load_all(text))["cluster"]
    return {item["name"]: item["contents"] for item in cluster["inlineManifests"]}


def test_a_rendered_control_plane_carries_both(cto, write):
    write("cni: cilium", "cilium: {version: 1.18.2, values: {hubble.relay.enabled: true}}", OURS)
    ran = render(cto)
    assert (ran.code, ran.err) == (0, "")
    carried = inline(ran.out)
    assert list(carried) == ["cilium", "argocd-namespace", "argocd"]
    assert "--set=hubble.relay.enabled=true" in carried["cilium"]
    assert "namespace: argocd" in carried["argocd"]


def test_in_the_form_of_1_14(cto, write):
    write("cni: cilium", "cilium: {version: 1.18.2}", "argocd: null")
    ran = render(cto, "--talos", "1.14.1")
    assert ran.code == 0
    kinds = [item.get("kind") for item in yaml.safe_load_all(ran.out)]
    assert "KubeInlineManifestConfig" in kinds
    assert "KubeFlannelCNIConfig" not in kinds


def test_without_a_network_the_manifest_comes_from_the_folder(cto, write, tmp_path, monkeypatch):
    write()
    monkeypatch.setenv("CTO_IMAGES", str(tmp_path / "usb"))
    ran = render(cto)
    assert ran.code == 2
    assert str(tmp_path / "usb/argoproj/argo-cd/v3.1.8/manifests/install.yaml") in ran.err
    place = tmp_path / "usb/argoproj/argo-cd/v3.1.8/manifests/install.yaml"
    place.parent.mkdir(parents=True)
    place.write_text((PLATFORM / "argocd.yaml").read_text())
    assert list(inline(render(cto).out)) == ["argocd-namespace", "argocd"]


@pytest.mark.parametrize(
    ("lines", "what", "fix"),
    [
        (["cni: cilium"], "has no Cilium version", "cilium: {version:"),
        (["cni: cilium", "cilium: {values: {a: b}}"], "neither version nor manifest", "a manifest"),
        (["argocd: {manifest: /srv/a.yaml}"], "both a version and a manifest", "`null` removes"),
        (["cni: cilium", "cilium: {version: latest}"], "is not a version", "1.18.2"),
        (["argocd: {version: null, manifest: a.yaml}"], "is not an image location", "an absolute path"),
        (
            ["cni: cilium", "cilium: {version: 1.18.2, values: {'a b': c}}"],
            "path of a chart's value",
            "hubble",
        ),
    ],
)
def test_what_the_site_file_may_not_say(cto, write, lines, what, fix):
    write(*lines)
    ran = cto("validate", "-f", "kn.yaml")
    assert ran.code == 2
    assert what in ran.out + ran.err
    assert fix in ran.out + ran.err


def test_a_version_of_a_network_that_is_not_used_is_a_warning(cto, write):
    write("cilium: {version: 1.18.2}")
    ran = cto("validate", "-f", "kn.yaml")
    assert ran.code == 0
    assert "its pod network is flannel" in ran.out + ran.err


def test_the_plan_lists_the_images_that_a_mirror_must_have(cto, write):
    write("cni: cilium", "cilium: {version: 1.18.2}", OURS)
    plan = json.loads(cto("plan", "-f", "kn.yaml", "--output", "json").out)
    [cluster] = plan["clusters"]
    assert cluster["images"][:2] == ["quay.io/cilium/cilium-cli:v0.18.7", "quay.io/cilium/cilium:v1.18.2"]
    assert "quay.io/argoproj/argocd:v3.1.8" in cluster["images"]
