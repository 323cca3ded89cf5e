"""A cluster whose pod network and Argo CD come with its configuration, from the site file to Ready."""

from pathlib import Path
from typing import Any

import yaml

from inventory.lifecycle import NodeState
from tests.e2e.harness import Case

PLATFORM = Path(__file__).parents[1] / "fixtures" / "platform"


def cluster_defaults(case: Case, **fields: Any) -> None:
    documents = list(yaml.safe_load_all(case.site.read_text()))
    organization = next(d for d in documents if d["kind"] == "Organization")["spec"]
    organization.setdefault("clusterDefaults", {}).update(fields)
    case.site.write_text(yaml.safe_dump_all(documents))


def test_an_appliance_with_cilium_and_argocd(case: Case, tmp_path: Path):
    """In the lab a node without a pod network never gets ready, and the network comes of the manifests."""
    manifest = tmp_path / "argocd.yaml"
    manifest.write_text((PLATFORM / "argocd.yaml").read_text())
    cluster_defaults(
        case,
        cni="cilium",
        cilium={"version": "1.18.2", "values": {"operator.replicas": 1}},
        argocd={"manifest": manifest.as_uri()},
    )
    plan = case.ok("plan", "-f", str(case.site)).stdout
    assert "quay.io/cilium/cilium-cli:v0.18.7" in plan
    assert "quay.io/argoproj/argocd:v3.1.8" in plan
    case.apply()
    assert case.node_state(case.name) == NodeState.READY

    # Held to what it was: another file is refused until the site file says that it is meant.
    manifest.write_text((PLATFORM / "cilium.yaml").read_text())
    plan = case.expect(2, "plan", "-f", str(case.site)).stdout
    assert "not the one that was asked for" in plan
    assert "argocd.sha256" in plan
    case.check_store()
