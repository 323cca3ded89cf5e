"""What the plan of a first install says of the configuration: whose patches, which network card, what schematic."""

import json
from pathlib import Path

import pytest

from controller.app.bundles import seal
from controller.app.desired import desire
from controller.app.plan import Look, make_plan
from controller.cli.commands.plan import show
from facts.snapshot import Facts
from inventory.resolve import Resolved, load_files
from inventory.selectors import Selection
from roles import schematic

FACTS = Path(__file__).parents[2] / "fixtures" / "hardware" / "dell-r660.json"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGwtlHbwGeLPD5MPE/fqJn2tzrNwA4wpSKqcqVmhvuYb"
SITE = """\
apiVersion: fleet/v1
kind: Organization
metadata: {name: acme}
spec:
  timezone: UTC
  defaults: {patches: [{machine: {env: {FROM: organization}}}]}
---
apiVersion: fleet/v1
kind: SiteTemplate
metadata: {name: small}
spec:
  defaults: {patches: [{machine: {env: {FROM: template}}}]}
  clusters:
    - name: "${site.name}"
      kubernetes: 1.34.1
      nodes:
        - name: "${site.name}-1"
          role: appliance
          patches: [{op: add, path: /machine/env/API_TOKEN, value: very-secret}]
---
apiVersion: fleet/v1
kind: Site
metadata: {name: kn}
spec:
  template: small
  defaults:
    image: {talos: 1.13.9, extensions: [siderolabs/iscsi-tools]}
    settings: {timeServers: [10.0.0.1], network: {interfaces: [{name: lan0, match: {auto: true}}]}}
    patches: [{machine: {env: {FROM: site}}}]
  roles: {appliance: {patches: [{machine: {env: {FROM: role}}}]}}
  nodes: {kn-1: {address: 192.0.2.11}}
"""


@pytest.fixture
def site(services, bundle) -> Resolved:
    resolved = load_files({"kn.yaml": SITE})
    services.store.declare(resolved.fleet, actor="test")
    services.store.pin("kn-1", host_key=KEY, address="192.0.2.11", actor="test", reason="test")
    facts = Facts.from_dict(json.loads(FACTS.read_text()))
    services.store.save_facts("kn-1", facts.to_dict(), facts.digest())
    seal(services, "kn", bundle, actor="test")
    return resolved


async def planned(services, site):
    made = await make_plan(services, site, Selection.parse(), Look.NONE)
    return made.to_dict()


async def test_each_patch_is_shown_with_its_scope_at_a_first_install(services, site, capsys):
    plan = await planned(services, site)
    [node] = plan["nodes"]
    assert (node["change"], node["config_diff"]) == ("install", "")
    told = [(patch["scope"], patch["layer"]) for patch in node["patches"]]
    assert told == [
        ("organization", "organization acme"),
        ("template", "template small"),
        ("site", "site kn"),
        ("role", "role appliance of site kn"),
        ("node", "node kn-1"),
    ]
    lines = SITE.splitlines()
    for patch in node["patches"]:
        file, _, line = patch["where"].partition(":")
        assert file == "kn.yaml"
        assert "patches:" in lines[int(line) - 1]
    assert "FROM: template" in node["patches"][1]["text"]
    show(plan)
    out = capsys.readouterr().out
    assert "patch     role appliance of site kn  (kn.yaml:" in out
    assert "FROM: role" in out
    assert "very-secret" not in out + json.dumps(plan)
    assert "API_TOKEN" in out


async def test_a_node_without_a_change_is_not_told_of_its_patches(services, site):
    plan = await planned(services, site)
    digest = plan["nodes"][0]["config_digest"]
    services.store.adopt("kn", {"kn-1": "1.13.9"}, first="kn-1", actor="test", reason="test")
    assert digest
    [node] = (await planned(services, site))["nodes"]
    assert (node["change"], list(node["patches"])) == ("nothing", [])


async def test_the_chosen_network_card_and_why(services, site, capsys):
    plan = await planned(services, site)
    said = "interface lan0 is eno8303 (02:00:00:00:00:01): it has a link and holds 192.0.2.11"
    assert said in plan["nodes"][0]["notes"]
    show(plan)
    assert said in capsys.readouterr().out


def test_the_schematic_that_the_factory_may_have_to_be_told(services, site):
    node = site.fleet.nodes["kn-1"]
    desired = desire(services, site.fleet, node)
    assert desired.refusals == ()
    assert "siderolabs/iscsi-tools" in desired.schematic
    assert "siderolabs/intel-ucode" in desired.schematic  # of the hardware profile
    found = schematic.predict(
        ("siderolabs/iscsi-tools", "siderolabs/intel-ucode", "siderolabs/intel-ice-firmware"),
        ("talos.config=metal-iso",),
    )
    assert desired.schematic == found.document
    assert found.id in desired.image_url
    assert found.id in desired.config.text
