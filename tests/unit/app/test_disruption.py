"""Membership changes and rollouts keep out of each other's way; what the refusals say. No machine is asked."""

import pytest

from controller.app.disruption import refuse_during_rollout
from controller.app.endpoint import lasting, server_of, with_names
from controller.app.growth import stable_seconds
from controller.app.removal import known
from controller.store.rollouts import NewRollout
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Cluster, Fleet, Node, Site
from inventory.lifecycle import NodeState


@pytest.fixture
def fleet(services):
    node = Node("cp-1", "berlin", "berlin", "controlplane", address="10.0.0.1")
    cluster = Cluster("berlin", "berlin", "https://10.0.0.9:6443", "1.36.3", ("cp-1",))
    site = Site("berlin", "acme", "UTC", ("berlin",))
    made = Fleet("acme", {"berlin": site}, {"berlin": cluster}, {"cp-1": node})
    services.store.declare(made, actor="test")
    return made


def test_no_member_comes_or_goes_during_a_rollout_at_its_site(services, fleet):
    refuse_during_rollout(services, "berlin")
    elsewhere = NewRollout("r0", "me", "try", "running", "{}", {}, (("munich", "munich", "{}"),))
    services.store.create_rollout(elsewhere)
    refuse_during_rollout(services, "berlin")
    here = NewRollout("r1", "me", "try", "running", "{}", {}, (("berlin", "berlin", "{}"),))
    services.store.create_rollout(here)
    with pytest.raises(RefusedError, match="rollout r1 is under way") as refused:
        refuse_during_rollout(services, "berlin")
    assert "cto rollout abort r1" in refused.value.fix


def test_only_a_node_that_runs_can_leave(services, fleet):
    with pytest.raises(OperatorError, match="there is no node"):
        known(services, "nobody")
    with pytest.raises(RefusedError, match="it is declared") as refused:
        known(services, "cp-1")
    assert "cto node reset --node cp-1" in refused.value.fix
    services.store.pin(
        "cp-1",
        address="10.0.0.1",
        host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP",
        actor="test",
        reason="test",
    )
    services.store.move("cp-1", NodeState.JOINED, reason="seen", actor="test")
    assert known(services, "cp-1")[1].name == "berlin"


def test_certificates_are_for_old_addresses_too(services, fleet):
    cluster = fleet.clusters["berlin"]
    assert with_names(cluster, []) is cluster
    both = with_names(cluster, ["https://10.0.0.1:6443", "https://10.0.0.9:6443", "https://10.0.0.1:443"])
    assert both.settings["certSANs"] == ["10.0.0.1"]
    assert with_names(both, ["https://[fd00::1]:6443"]).settings["certSANs"] == ["10.0.0.1", "fd00::1"]
    assert lasting(services, cluster) is cluster


def test_the_server_of_a_kubeconfig_is_read_or_there_is_none():
    config = b"""
contexts: [{name: a, context: {cluster: c, user: u}}, {name: b, context: {cluster: d, user: u}}]
clusters: [{name: c, cluster: {server: 'https://1:6443'}}, {name: d, cluster: {server: 'https://2:6443'}}]
current-context: b
"""
    assert server_of(config) == "https://2:6443"
    for broken in (b"", b"[", b"[]", b"contexts: 1", config.replace(b"current-context: b", b"")):
        assert server_of(broken) == ""


def test_people_may_wait_shorter_when_they_practise(monkeypatch):
    monkeypatch.delenv("CTO_STABLE_SECONDS", raising=False)
    assert stable_seconds() == 120.0
    monkeypatch.setenv("CTO_STABLE_SECONDS", "0.5")
    assert stable_seconds() == 0.5
    monkeypatch.setenv("CTO_STABLE_SECONDS", "soon")
    with pytest.raises(OperatorError, match="is no number"):
        stable_seconds()
