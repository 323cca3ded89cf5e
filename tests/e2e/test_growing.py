"""A cluster that is in use grows, shrinks and loses members, and never has fewer healthy ones than it needs.

The machines' own logs say when each joined etcd and what was asked of it before.
"""

import socket
from collections.abc import Callable

import pytest

from inventory.lifecycle import NodeState
from tests.e2e.growing import (
    LAB,
    STABLE,
    again,
    declare,
    joined,
    longhorn_of_one,
    names,
    nodes_at,
    one,
    planes,
    power,
    replicas,
    server,
    snapshot,
    takes_pods,
    three,
    with_vip,
)
from tests.e2e.harness import KILLED, LabHome, until


@pytest.mark.fault
def test_one_becomes_three_and_five(make_lab: Callable[..., LabHome]):
    lab = make_lab("5", *LAB)
    a, b, c, d, e = names(lab)
    cluster = one(lab)
    assert takes_pods(lab, cluster, a)
    longhorn_of_one(lab, cluster)
    vip = with_vip(lab, a, b, c)
    shown = lab.ok("plan", "-f", str(lab.site)).stdout
    assert f"moves from https://{lab.machine(a).address}:6443 to https://{vip}:6443" in shown
    assert f"{b} joins: 2 members, quorum 2, any failure stops etcd" in shown
    assert f"{c} joins: 3 members, quorum 2, 1 may fail" in shown
    assert "the dangerous state" in shown.replace("\n", " ")
    # The new address is taken only once something answers there.
    taken = socket.create_server((vip, 6443))
    refused = lab.apply(code=4, env=STABLE | {"CTO_WAIT_LIMIT": "3"}).stdout
    assert f"https://{vip}:6443" in refused
    assert server(lab, cluster) == f"https://{lab.machine(a).address}:6443"
    assert joined(lab, (b, c)) == []
    taken.close()
    lab.apply(env=STABLE)
    assert lab.cluster_state(cluster) == "ready"
    assert server(lab, cluster) == f"https://{vip}:6443"
    assert nodes_at(lab, cluster, vip) == nodes_at(lab, cluster, lab.machine(a).address) == [a, b, c]
    assert joined(lab, (a, b, c)) == [a, b, c]
    assert replicas(lab, cluster) == ("3", 3, "3")
    assert not takes_pods(lab, cluster, a)
    reasons = [row["reason"] for row in lab.rows("SELECT reason FROM snapshots ORDER BY taken_at")]
    assert reasons[0] == f"before {b} joins"

    declare(lab, planes(a, b, c, d, e))
    lab.apply(env=STABLE)
    assert joined(lab, (a, b, c, d, e)) == [a, b, c, d, e]
    assert [lab.node_state(n) for n in (a, b, c, d, e)] == [NodeState.READY] * 5
    assert sum(lab.effects(n).bootstraps for n in (a, b, c, d, e)) == 1
    lab.apply()
    lab.check_store()


@pytest.mark.fault
def test_members_leave_one_by_one_and_one_is_replaced(make_lab: Callable[..., LabHome]):
    lab = make_lab("4", *LAB)
    d = names(lab)[3]
    a, b, c = three(lab)
    cluster = lab.machine(a).cluster
    # Not by leaving it out: the plan says which command does it, and nothing is done.
    declare(lab, planes(a))
    shown = lab.ok("plan", "-f", str(lab.site)).stdout
    assert f"cto node remove {b}" in shown
    lab.apply()
    assert lab.node_state(b) == NodeState.READY

    # One dies and is replaced: taken out first, by the others.
    power(lab, b, "off")
    declare(lab, planes(a, c, d))
    told = lab.expect(2, "node", "remove", c, "--yes")
    assert f"{b} is not started" in told.stderr
    assert "--dead" in lab.expect(2, "node", "remove", b, "--yes").stderr
    replace = ("node", "replace", b, "--with", d, "-f", str(lab.site), "--yes")
    done = lab.ok(*replace, "--dead", env=STABLE).stdout
    assert f"{b} is removed: 2 members" in done
    assert f"{d} joins: 3 members" in done
    assert lab.cluster_state(cluster) == "ready"
    assert lab.node_state(b) == NodeState.RESET
    assert "holds the cluster's keys" in lab.ok("node", "show", b).stdout
    lab.apply()

    # One that lives: the newcomer joins first, then it leaves and is wiped.
    power(lab, b, "on")  # its old disk comes back, and etcd takes it no more
    declare(lab, planes(a, c, d))
    lab.ok("node", "remove", d, "--yes", env=STABLE)
    assert lab.node_state(d) == NodeState.RESET
    assert lab.effects(d).resets == 1
    again(lab, d)
    lab.ok("node", "replace", c, "--with", d, "-f", str(lab.site), "--yes", env=STABLE)
    assert [lab.node_state(n) for n in (a, c, d)] == [NodeState.READY, NodeState.RESET, NodeState.READY]
    lab.check_store()


@pytest.mark.fault
def test_a_cluster_that_lost_its_quorum_is_recovered_from_a_snapshot(make_lab: Callable[..., LabHome]):
    lab = make_lab("3", *LAB)
    a, b, c = three(lab)
    cluster = lab.machine(a).cluster
    taken = snapshot(lab, cluster)
    recover = ("cluster", "recover", cluster, "--snapshot", taken["id"], "--yes")
    assert "has a quorum" in lab.expect(2, *recover).stderr
    power(lab, b, "off")
    power(lab, c, "off")
    told = lab.expect(2, "node", "remove", b, "--dead", "--yes").stderr
    assert "0 of 3 members are well" in told
    assert f"cto cluster recover {cluster}" in told
    killed = lab.expect(KILLED, *recover, env={"CTO_CRASH_AT": "recover:after_observe"})
    assert f"{a}: its etcd data" in killed.stdout
    assert f"cto node remove {b} --dead" in killed.stdout.replace("\n", " ")
    # It stands already: a second order finds a quorum, and throws nothing away.
    assert "has a quorum" in lab.expect(2, *recover).stderr
    assert snapshot(lab, cluster)["sha256"] == taken["sha256"]
    assert [e["sha256"] for e in lab.log(a) if e["event"] == "etcd-recovered"] == [taken["sha256"]]

    lab.ok("node", "remove", b, "--dead", "--yes", env=STABLE | {"CTO_WAIT_LIMIT": "2"})
    assert "etcd has 1 of 2 members" in lab.rows("SELECT problem FROM clusters")[0]["problem"]
    lab.ok("node", "remove", c, "--dead", "--yes", env=STABLE)
    assert lab.cluster_state(cluster) == "ready"
    lab.check_store()


@pytest.mark.fault
def test_nothing_joins_while_a_member_is_ill_or_a_newcomer_fails(make_lab: Callable[..., LabHome]):
    lab = make_lab("5", *LAB)
    a, b, c = three(lab)
    d, e = names(lab)[3:]
    cluster = lab.machine(a).cluster
    impatient = STABLE | {"CTO_WAIT_LIMIT": "3"}
    declare(lab, planes(a, b, c, d, e))
    power(lab, b, "off")
    refused = lab.apply(code=5, env=impatient).stdout
    assert f"{b} is not as declared, and others join only after that" in refused
    assert [lab.node_state(n) for n in (d, e)] == [NodeState.BOOT_SET] * 2
    assert joined(lab, (d, e)) == []
    power(lab, b, "on")

    # The first newcomer never answers: the second one stays where it is, prepared.
    lab.fault(d, "refuse-talos")
    apply, slow = ("apply", "-f", str(lab.site), "--yes"), STABLE | {"CTO_WAIT_LIMIT": "12"}
    told = f"{d} did not come through"
    until(lambda: told in lab.cto(*apply, env=slow).stdout, f"{b} is well again, and {d} fails", pause=1)
    assert lab.node_state(e) == NodeState.BOOT_SET
    assert joined(lab, (e,)) == []
    lab.clear(d)
    power(lab, d, "off")
    power(lab, d, "on")
    lab.apply(env=STABLE)
    assert lab.cluster_state(cluster) == "ready"
    assert [lab.effects(n).reboots for n in (d, e)] == [1, 1]
    lab.check_store()


def test_one_that_is_not_ready_keeps_the_others_waiting(make_lab: Callable[..., LabHome]):
    lab = make_lab("3", *LAB)
    a, b, c = names(lab)
    one(lab)
    declare(lab, planes(a, b, c))
    left = lab.expect(5, "apply", "-f", str(lab.site), "--yes", "--node", a, "--node", b, env=STABLE).stdout
    assert f"{c} is to join as well" in left
    assert joined(lab, (b, c)) == []
