"""Which way of delivery a site file and a version lead to."""

import pytest

from inventory.delivery import decide
from inventory.resolve import load_files

SITE = """
apiVersion: fleet/v1
kind: Organization
metadata: {name: o}
spec: {defaults: {image: {talos: TALOS}}, clusterDefaults: {kubernetes: KUBERNETES}}
---
apiVersion: fleet/v1
kind: Site
metadata: {name: s}
spec: {timezone: UTC}
---
apiVersion: fleet/v1
kind: Cluster
metadata: {name: c}
spec: {site: s, nodes: [{name: n, role: appliance, address: 10.0.0.1, DELIVERY}]}
"""


@pytest.mark.parametrize(
    ("asked", "talos", "method", "why"),
    [
        ("auto", "1.8.4", "state", "1.8.4 could not drop"),
        ("auto", "1.9.6", "state", "1.9.6 could not drop"),
        ("auto", "1.10.0", "metal-iso", "the default"),
        ("auto", "1.13.9", "metal-iso", "the default"),
        ("auto", "", "metal-iso", "the default"),
        ("state", "1.13.9", "state", "the site file says so"),
        ("maintenance-push", "1.9.6", "maintenance-push", "the site file says so"),
        ("metal-iso", "1.13.9", "metal-iso", "the site file says so"),
    ],
)
def test_the_version_decides_unless_the_file_does(asked: str, talos: str, method: str, why: str) -> None:
    found, reason = decide(asked, talos)
    assert found == method
    assert why in reason


@pytest.mark.parametrize(
    ("talos", "kubernetes", "delivery", "method"),
    [
        ("1.9.6", "1.32.1", "delivery: {}", "state"),
        ("1.13.9", "1.36.3", "delivery: {}", "metal-iso"),
        ("1.13.9", "1.36.3", "delivery: {method: auto}", "metal-iso"),
        ("1.13.9", "1.36.3", "delivery: {method: state}", "state"),
    ],
)
def test_a_fleet_knows_the_way_and_why(talos: str, kubernetes: str, delivery: str, method: str) -> None:
    text = SITE.replace("TALOS", talos).replace("KUBERNETES", kubernetes).replace("DELIVERY", delivery)
    found = load_files({"site.yaml": text}).fleet.nodes["n"].delivery
    assert found.method == method
    assert found.reason
