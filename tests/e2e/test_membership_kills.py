"""The controller dies at each of the four moments of every act on a cluster, and the next run finishes the job.

Generated from the table of acts. One after the other in one life of a cluster: dying, going on, dying later. What
counts is what the lab's machines and API servers saw: each effect once. `test_membership_matrix` has every step of
every journey; this is the part that is quick enough to be run each time.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inventory.lifecycle import CLUSTER_ACTS, KILL_POINTS, NodeState
from tests.e2e import growing
from tests.e2e.harness import KILLED, LabHome

ACTS = frozenset(act.step for act in CLUSTER_ACTS)
LEAVING = ("drain-node", "remove-member", "reset", "forget-node")


def test_every_act_is_killed_somewhere_here():
    assert {*LEAVING, "move-endpoint", "raise-replicas", "recover"} - {"reset"} == ACTS  # which a node does


def die_everywhere(lab: LabHome, steps: tuple[str, ...], *command: str) -> None:
    """At every moment of every step, in order; each run goes on where the last one died."""
    for step in steps:
        for point in KILL_POINTS:
            lab.expect(KILLED, *command, env=growing.STABLE | {"CTO_CRASH_AT": f"{step}:{point}"})
    lab.ok(*command, env=growing.STABLE)


@pytest.mark.fault
def test_a_member_leaves_once_whenever_the_controller_dies(make_lab: Callable[..., LabHome]):
    lab = make_lab("3", *growing.LAB)
    a, b, c = growing.three(lab)
    cluster = lab.machine(a).cluster
    die_everywhere(lab, LEAVING, "node", "remove", c, "--yes")
    assert lab.node_state(c) == NodeState.RESET
    assert lab.effects(c).resets == 1
    log = lab.log(c)
    left = [
        e for e in log if e["event"] == "talos" and e["call"] == "EtcdLeaveCluster" and e["status"] == "OK"
    ]
    assert len(left) == 1
    assert growing.kube_calls(lab, (a, b, c), "DELETE", f"/api/v1/nodes/{c}") == 1
    assert growing.kube_calls(lab, (a, b, c), "PATCH", f"/api/v1/nodes/{c}") == 1
    assert lab.cluster_state(cluster) == "ready"
    lab.check_store()


@pytest.mark.fault
def test_the_endpoint_moves_and_replicas_rise_whenever_the_controller_dies(make_lab: Callable[..., LabHome]):
    lab = make_lab("3", *growing.LAB)
    a, b, c = growing.names(lab)
    cluster = growing.one(lab)
    growing.longhorn_of_one(lab, cluster)
    vip = growing.with_vip(lab, a, b, c)
    apply = ("apply", "-f", str(lab.site), "--yes")
    die_everywhere(lab, ("move-endpoint", "raise-replicas"), *apply)
    assert growing.server(lab, cluster) == f"https://{vip}:6443"
    assert growing.replicas(lab, cluster) == ("3", 3, "3")
    assert lab.cluster_state(cluster) == "ready"
    assert growing.joined(lab, (a, b, c)) == [a, b, c]
    assert [lab.effects(n).reboots for n in (a, b, c)] == [1, 1, 1]
    assert lab.effects(a).applied == 2  # certificates for both, then the new endpoint
    lab.check_store()


@pytest.mark.fault
def test_etcd_is_recovered_once_whenever_the_controller_dies(
    make_lab: Callable[..., LabHome], tmp_path: Path
):
    lab = make_lab("3", *growing.LAB)
    a, b, c = growing.three(lab)
    cluster = lab.machine(a).cluster
    snapshot = growing.snapshot(lab, cluster)
    out = tmp_path / "db"
    lab.ok("etcd", "export", snapshot["id"], "--out", str(out))
    for name in (b, c):  # two of three lost their disks' data, and came back empty
        growing.forget_etcd(lab, name)
    recover = ("cluster", "recover", cluster, "--snapshot", str(out), "--yes")
    for point in KILL_POINTS[:2]:
        lab.expect(KILLED, *recover, env={"CTO_CRASH_AT": f"recover:{point}"})
    lab.expect(KILLED, *recover, env={"CTO_CRASH_AT": "recover:after_effect"})
    assert "has a quorum" in lab.expect(2, *recover).stderr
    lab.apply()
    assert lab.cluster_state(cluster) == "ready"
    recovered = [e for n in (a, b, c) for e in lab.log(n) if e["event"] == "etcd-recovered"]
    assert [e["sha256"] for e in recovered] == [snapshot["sha256"]]
    lab.check_store()
