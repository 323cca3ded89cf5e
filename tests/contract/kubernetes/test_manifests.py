"""Every object that we write ourselves is one that Kubernetes' own types take, read strictly."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory.fleet import Cluster, Image, Node
from roles import platform
from roles.platform_files import parse
from tests.contract.kubernetes.judge import ask
from tests.contract.talos import judges, matrix

pytestmark = [pytest.mark.needs("go"), pytest.mark.slow]
FIXTURES = Path(__file__).parents[2] / "fixtures" / "platform"


def manifests(proxy: dict[str, str] | None = None, **settings: Any) -> tuple[platform.InlineManifest, ...]:
    cluster = Cluster("b", "b", "https://10.0.0.10:6443", "1.36.3", ("n",), settings=settings)
    files = {
        source.part: parse((FIXTURES / f"{source.part}.yaml").read_text(), source)
        for source in platform.sources(cluster)
    }
    return platform.manifests(cluster, files, proxy=proxy or {})


def test_the_job_and_its_rights() -> None:
    options = {"version": "1.18.2", "values": {"hubble.relay.enabled": "true", "operator.replicas": "1"}}
    for more in ({}, {"kubeProxy": True}):
        [made] = manifests({"https_proxy": "http://p:3128"}, cni="cilium", cilium=options, **more)
        [answer] = ask([made.contents])
        assert answer == {
            "error": "",
            "kinds": ["v1/ServiceAccount", "rbac.authorization.k8s.io/v1/ClusterRoleBinding", "batch/v1/Job"],
        }


def test_the_namespace_and_objects_that_got_theirs() -> None:
    namespace, given = manifests(argocd={"version": "3.1.8"})
    assert ask([namespace.contents]) == [{"error": "", "kinds": ["v1/Namespace"]}]
    known = [text for text in given.contents.split("---\n") if "CustomResourceDefinition" not in text]
    [answer] = ask(["---\n".join(known)])
    assert answer["error"] == ""
    assert {"v1/Secret", "v1/ConfigMap", "apps/v1/Deployment"} <= set(answer["kinds"])


def test_the_judge_refuses_what_is_wrong() -> None:
    [made] = manifests(cni="cilium", cilium={"version": "1.18.2"})
    wrong = (
        made.contents.replace("backoffLimit: 20", "backoffLimits: 20"),
        made.contents.replace("hostNetwork: true", "hostNetwork: 'yes'"),
        made.contents.replace("kind: Job", "kind: Jobb"),
        made.contents.replace("drop:", "dropped:"),
    )
    assert all(text != made.contents for text in wrong)
    assert [bool(answer["error"]) for answer in ask(wrong)] == [True] * len(wrong)


def test_nothing_is_lost_between_us_and_talos() -> None:
    """Talos reads the configuration's text as YAML, then the manifest in it as YAML again."""
    [made] = manifests(cni="cilium", cilium={"version": "1.18.2"})
    inside = yaml.safe_load(yaml.safe_dump({"contents": made.contents}))["contents"]
    assert ask([inside]) == ask([made.contents])


@pytest.mark.parametrize("minor", judges.MINORS)
@pytest.mark.parametrize("role", ["controlplane", "worker", "appliance"])
def test_every_talos_takes_a_configuration_that_carries_them(minor: str, role: str) -> None:
    contract = matrix.CONTRACTS[minor]
    node = Node("kn-1", "kn", "kn", role, address="10.0.0.5", image=Image(f"{minor}.0"))
    more = {"cni": "cilium", "cilium": {"version": "1.18.2"}, "argocd": {"version": "3.1.8"}}
    cluster = Cluster("kn", "kn", matrix.ENDPOINT, contract.default_kubernetes, ("kn-1",), settings=more)
    [source] = platform.sources(cluster)
    files = {"argocd": parse((FIXTURES / "argocd.yaml").read_text(), source)}
    text = matrix.of_node(node, cluster, files=files)
    assert ("cilium-install" in text) is (role != "worker")
    assert judges.check(minor, [text]) == [""]
