"""Windows, overrides, pause and abort; disruption budgets; Kubernetes; who is the engine. One lab for each test."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from kubernetes.config import new_client_from_config_dict

from tests.e2e.harness import ended, until
from tests.e2e.rollout_harness import Rollouts

pytestmark = pytest.mark.slow
OLD, NEW = "1.13.8", "1.13.9"
NEVER = {"validFrom": "2001-01-01", "validUntil": "2001-01-02"}


@pytest.fixture
def installed(make_lab):
    def build(mixed: str) -> Rollouts:
        lab = make_lab(mixed, "--talos", OLD)
        lab.apply()
        return Rollouts(lab)

    return build


def waits(world: Rollouts) -> str:
    """What the youngest rollout waits for; empty if there is none yet."""
    found = world.lab.rows("SELECT summary FROM rollouts ORDER BY rowid DESC LIMIT 1")
    return json.dumps(json.loads(found[0]["summary"])["waits"]) if found else ""


def stages(world: Rollouts) -> dict[str, str]:
    return {name: str(node["stage"]) for name, node in world.nodes(world.status()).items()}


def test_nothing_is_begun_outside_a_window_and_people_have_the_last_word(installed):
    world = installed("1,1")
    world.declare(window=NEVER)
    asked = ("rollout", "plan", *world.files, "--talos", NEW, "--output", "json")
    plans = [json.loads(world.lab.ok(*asked).stdout)["waves"] for _ in range(3)]
    with ended(world.lab.start(*world.begin("--talos", NEW))) as process:
        until(lambda: "outside its maintenance windows" in waits(world), "waiting for a window", seconds=120)
        first, second = world.status()["summary"]["waves"], world.status()["clusters"]
        assert [wave["state"] for wave in first] == ["running", "waiting"]
        canary, other = (cluster["name"] for cluster in second)
        assert plans == [[[canary], [other]]] * 3  # what was shown is what is done
        assert stages(world)[f"{canary}-1"] == "staged"  # an image may be pulled ahead
        assert world.calls(f"{canary}-1") == {}

        asked = ("window", "override", "--site", canary, "--reason", "the vendor's fix can not wait", "--yes")
        override = json.loads(world.lab.ok(*asked, "--output", "json").stdout)
        world.lab.ok("window", "approve", override["id"], env={"USER": "bob"})
        until(lambda: stages(world)[f"{canary}-1"] == "committed", "the canary's update", seconds=120)
        until(lambda: other in waits(world), "the second wave", seconds=120)

        world.lab.ok("rollout", "pause", "--reason", "lunch")
        until(lambda: world.status()["status"] == "paused" or None, "the pause", seconds=60)
        assert "it is paused" in world.lab.ok("status").stdout
        world.lab.ok("rollout", "resume", "--reason", "lunch is over")
        until(lambda: world.status()["status"] == "running" or None, "the resumption", seconds=60)
        world.lab.ok("rollout", "abort", "--reason", "another day")
        process.wait(timeout=120)
    assert process.returncode == 5
    done = world.status()
    assert (done["status"], done["over"]) == ("aborted", True)
    assert stages(world) == {f"{canary}-1": "committed", f"{other}-1": "cancelled"}
    assert world.calls(f"{other}-1") == {}
    assert [row["verb"] for row in world.lab.rows("SELECT verb FROM rollout_commands ORDER BY at")] == [
        "pause",
        "resume",
        "abort",
    ]
    world.check_store()


def cluster_api(world: Rollouts, cluster: str) -> Any:
    path = Path(world.lab.ok("cluster", "kubeconfig", cluster).stdout.strip())
    return new_client_from_config_dict(yaml.safe_load(path.read_text()))


def test_a_drain_waits_for_a_disruption_budget_and_kubernetes_follows(installed):
    world = installed("2")
    plane, worker = "berlin-cp-1", "berlin-worker-1"
    api = cluster_api(world, "berlin")
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
    metadata = {"name": "web-1", "labels": {"app": "web"}, "ownerReferences": [owner]}
    spec = {"nodeName": worker, "containers": [{"name": "web", "image": "web:1"}]}
    client.CoreV1Api(api).create_namespaced_pod("apps", {"metadata": metadata, "spec": spec})
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    policy = client.PolicyV1Api(api)
    policy.create_namespaced_pod_disruption_budget("apps", {"metadata": {"name": "web"}, "spec": budget})

    with ended(world.lab.start(*world.begin("--talos", NEW))) as process:
        until(lambda: "a drain would not finish: apps/web-1" in waits(world), "the budget's no", seconds=120)
        assert world.calls(worker) == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    policy.delete_namespaced_pod_disruption_budget("web", "apps")
    world.go_on()
    assert stages(world) == {plane: "committed", worker: "committed"}
    [pod] = client.CoreV1Api(api).list_namespaced_pod("apps").items
    assert (pod.spec.node_name, pod.metadata.name != "web-1") == (plane, True)

    done = world.run("--kubernetes", "1.36.4")
    assert [hop["kind"] for hop in done["clusters"][0]["hops"]] == ["control-plane", "kubelet"]
    nodes = client.CoreV1Api(api).list_node().items
    assert {node.status.node_info.kubelet_version for node in nodes} == {"v1.36.4"}
    static = client.CoreV1Api(api).list_namespaced_pod("kube-system").items
    tags = {
        p.spec.containers[0].image.rpartition(":")[2] for p in static if p.metadata.name.startswith("kube-a")
    }
    assert tags == {"v1.36.4"}
    assert world.calls(plane)["Reboot"] == 1  # of the Talos update
    assert not any(node.spec.unschedulable for node in nodes)
    # The site file still says the old one: apply does not take it back.
    plan = json.loads(world.lab.ok("plan", "-f", str(world.lab.site), "--output", "json").stdout)
    assert plan["changes"] == 0
    api.close()
    world.check_store()


def test_a_running_controller_carries_it_out_and_others_follow(installed):
    """`cto serve` is the engine; the command that ordered the rollout may end, and another one follows it."""
    world = installed("1")
    with ended(world.lab.start("serve", "--port", "0")) as serving:
        until(
            lambda: (
                world.lab.rows(
                    "SELECT 1 FROM events WHERE kind = 'EngineStarted' AND data LIKE ?",
                    f'%"pid":{serving.pid}%',
                )
                or None
            ),
            "the controller",
            seconds=120,
        )
        with ended(world.lab.start(*world.begin("--talos", NEW))) as process:
            until(lambda: world.lab.rows("SELECT 1 FROM rollout_acts") or None, "the first act", seconds=120)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
        world.go_on()  # follows to the end
        epochs = {row["epoch"] for row in world.lab.rows("SELECT epoch FROM rollout_acts")}
        [meta] = world.lab.rows("SELECT epoch, engine_pid FROM meta")
        assert (epochs, meta["engine_pid"]) == ({meta["epoch"]}, serving.pid)
        held = world.lab.cto("window", "freeze", "--reason", "nobody touches anything today")
        assert held.returncode == 0
    assert stages(world) == {"berlin-1": "committed"}
    world.check_store()
