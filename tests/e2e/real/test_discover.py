"""`cto discover` and a stock avahi-daemon on another computer of the same network; then its machine is pinned."""

import json

import pytest

from tests.e2e.real.stage import GATE, Operator, Stage

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("avahi-daemon", "sshd", "ssh-keygen", "ip", "ss", "unshare", "nsenter"),
]


@pytest.fixture(scope="module", autouse=True)
def _advertised(stage: Stage) -> None:
    stage.gate.avahi("node-a", 22, "0a1b2c3d")


def test_an_advertisement_leads_to_a_pinned_machine(operator: Operator, stage: Stage) -> None:
    lines = operator.ok("discover", "--seconds", "5", "--interface", "lan", "--output", "json").stdout
    (seen,) = json.loads(lines.splitlines()[-1])["seen"]
    assert (seen["instance"], seen["addresses"], seen["port"]) == ("node-a", [GATE], 22)
    assert (seen["enroll_id"], seen["conflict"]) == ("0a1b2c3d", "")
    assert json.loads(operator.ok("node", "list", "--output", "json").stdout) == [], "a claim is no trust"

    (address,) = seen["addresses"]
    operator.ok("node", "add", seen["instance"], "--address", address, "--words", stage.near_sshd.words)
    assert "node-a" in operator.ok("facts", "gather").stdout


def test_a_person_sees_what_to_do_next(operator: Operator) -> None:
    shown = operator.ok("discover", "--seconds", "5", "--interface", "lan").stdout
    assert f"+ node-a  {GATE}:22  0a1b2c3d" in shown
    assert "1 seen" in shown
    assert "--confirm-words" in shown


def test_the_far_side_of_the_gate_is_not_heard(operator: Operator, stage: Stage) -> None:
    """Multicast ends at the network's edge: such machines are added by address."""
    stage.far.avahi("node-far", 22, "ffffffff")
    shown = operator.ok("discover", "--seconds", "4", "--interface", "lan", "--output", "json").stdout
    names = {each["instance"] for line in shown.splitlines() for each in json.loads(line)["seen"]}
    assert "node-far" not in names
