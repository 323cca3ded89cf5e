"""`cto machineconfig`: what stands on standard output, what it needs, and what it finds."""

import json
from pathlib import Path

import pytest
import yaml

FIXTURES = Path(__file__).parents[2] / "fixtures"
FACTS = FIXTURES / "hardware" / "dell-r660.json"
SITE = """\
apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec: {timezone: UTC}
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


@pytest.fixture
def made(cto, tmp_path):
    """The site file, and secrets in the store."""
    (tmp_path / "kn.yaml").write_text(SITE)
    assert cto("secrets", "import", "kn", FIXTURES / "roles" / "bundle.yaml").code == 0
    return cto


def render(cto, *more):
    return cto("machineconfig", "render", "--site", "kn.yaml", "--node", "kn-1", "--facts", FACTS, *more)


@pytest.mark.parametrize(("talos", "documents"), [("1.11.6", 1), ("1.13.9", 3), ("1.14.1", 30)])
def test_documents_and_nothing_else(made, tmp_path, talos, documents):
    ran = render(made, "--talos", talos)
    assert (ran.code, ran.err) == (0, "")
    assert len(list(yaml.safe_load_all(ran.out))) == documents
    assert talos in ran.out
    (tmp_path / "kn-1.yaml").write_text(ran.out)
    looked = made("machineconfig", "validate", "kn-1.yaml", "--talos", talos)
    assert looked.code == 0
    assert "not judged here" in looked.out


def test_what_another_talos_does_not_know(made, tmp_path):
    (tmp_path / "kn-1.yaml").write_text(render(made).out)
    ran = made("machineconfig", "validate", "kn-1.yaml", "--talos", "1.11.6", "--output", "json")
    assert ran.code == 2
    assert "which came with 1.12" in json.loads(ran.out)["problems"][0]


def test_what_it_needs(cto, tmp_path):
    (tmp_path / "kn.yaml").write_text(SITE)
    assert "cto secrets create kn" in render(cto).err
    assert render(cto).code == 2
    assert "there is no node" in cto("machineconfig", "render", "--site", "kn.yaml", "--node", "x").err


def test_facts_come_from_the_store_or_a_file(made):
    ran = made("machineconfig", "render", "--site", "kn.yaml", "--node", "kn-1")
    assert ran.code == 2
    assert "cto facts gather --node kn-1" in ran.err
    assert render(made, "--talos", "1.15.0").code == 2


@pytest.mark.parametrize("talos", ["1.13", "abc", "1.13.9:x"])
def test_a_version_without_its_three_numbers_names_no_installer(made, talos):
    ran = render(made, "--talos", talos)
    assert (ran.code, ran.out) == (2, "")
    assert "write all three numbers" in ran.err


@pytest.mark.parametrize("text", ["{}", '{"facts": []}'])
def test_a_file_of_another_shape_is_wrong_input_and_is_named(made, tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    ran = made("machineconfig", "render", "--site", "kn.yaml", "--node", "kn-1", "--facts", "f.json")
    assert ran.code == 2
    assert "f.json" in ran.err
    assert "cto facts show NAME" in ran.err
