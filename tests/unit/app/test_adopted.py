"""Comparing a node's running configuration with ours: order and defaults don't matter, secrets never show."""

import pytest
import yaml

from controller.app.adopted import Running, difference, wanted
from controller.app.bundles import export_bundle, import_bundle, seal, stored
from controller.app.identity import mint
from controller.app.plan import _job
from facts.machine_model import Hardware, HardwareDisk
from inventory.errors import OperatorError
from inventory.resolve import load_files
from roles.authorities import accepted_in
from roles.secrets import Accepted, to_yaml
from tests.contract.talos import matrix

SITE = """\
apiVersion: fleet/v1
kind: Organization
metadata: {{name: acme}}
spec: {{timezone: UTC}}
---
apiVersion: fleet/v1
kind: Site
metadata: {{name: kn}}
spec: {{}}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {{name: kn}}
spec:
  site: kn
  kubernetes: {kubernetes}
  endpoint: https://10.0.0.10:6443
  nodes: [{{name: kn-1, role: controlplane, address: 10.0.0.5, image: {{talos: {talos}}}}}]
"""
K8S = {"1.13": "1.36.3", "1.14": "1.37.0"}
DISK = HardwareDisk("sda", "/dev/sda", "/dev/null", 960 << 30, "ssd")


def reordered(text: str) -> str:
    """As another program might have written it: other orders, defaults and empty fields written out."""
    main, *others = yaml.safe_load_all(text)
    main |= {"debug": False, "persist": True}
    main["machine"]["disks"] = []
    return yaml.safe_dump_all([main, *reversed(others)], sort_keys=True)


@pytest.mark.parametrize("minor", ["1.8", "1.11", "1.13", "1.14"])
def test_the_same_in_another_order(minor: str) -> None:
    ours = matrix.render(minor, "controlplane", "bond", "much")
    assert reordered(ours) != ours
    assert difference(reordered(ours), ours) == ""
    assert difference(ours, ours) == ""


def test_what_differs_and_no_secret() -> None:
    ours = matrix.render("1.14", "controlplane")
    theirs = ours.replace("port: 7445", "port: 7446").replace(
        matrix.bundle().trustd_token, "aaaaaa.0123456789abcdef"
    )
    shown = difference(theirs, ours)
    assert "-port: 7446\n+port: 7445" in shown
    assert "*** (changed)" in shown
    assert matrix.bundle().trustd_token not in shown
    assert "aaaaaa" not in shown


def test_what_matters_is_not_taken_for_a_default() -> None:
    ours = matrix.render("1.13", "worker")
    assert "debug: true" in difference(
        ours.replace("version: v1alpha1", "version: v1alpha1\ndebug: true"), ours
    )


def test_no_yaml_is_told_without_a_quote() -> None:
    with pytest.raises(OperatorError, match="not YAML") as caught:
        difference("secret: [", matrix.render("1.13", "worker"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("minor", ["1.13", "1.14"])
def test_a_rotation_that_somebody_began_is_kept(services, store, minor: str) -> None:
    """The node accepts authorities that the bundle file did not name: ours keeps them, and so does the store."""
    fleet = load_files({"site.yaml": SITE.format(talos=f"{minor}.0", kubernetes=K8S[minor])}).fleet
    store.declare(fleet, actor="test")
    seal(services, "kn", matrix.bundle(), actor="test")
    job = _job(services, fleet, fleet.nodes["kn-1"])
    machine = Hardware("amd64", memory=16 << 30)
    before = wanted(job, Running(matrix.render(minor, "controlplane"), f"{minor}.0", machine, DISK))
    assert "acceptedCAs" not in before.config.text
    assert stored(services, "kn") == matrix.bundle()

    theirs = matrix.render(minor, "controlplane", of=matrix.rotating())
    ours = wanted(job, Running(theirs, f"{minor}.0", machine, DISK)).config.text
    assert accepted_in(ours) == accepted_in(theirs)
    assert "acceptedCAs" in ours
    changed = [line for line in difference(theirs, ours).splitlines()[2:] if line[0] in "+-"]
    assert not [line for line in changed if "crt" in line or "CERT" in line or "accepted" in line]
    kept = stored(services, "kn").accepted
    assert (kept.os, kept.k8s) == (matrix.rotating().accepted.os, matrix.rotating().accepted.k8s)
    assert "acceptedcas" in export_bundle(services, "kn", actor="test")
    assert mint(services, services.bundles["kn"]).ca.count("BEGIN CERTIFICATE") == 2

    # Whoever says which ones it is to accept has the last word, whatever the node accepts.
    assert import_bundle(services, "kn", to_yaml(matrix.bundle()), where="f", actor="test")
    ours = wanted(job, Running(theirs, f"{minor}.0", machine, DISK)).config.text
    assert accepted_in(ours) == Accepted()
    assert "acceptedCAs" in difference(theirs, ours)
