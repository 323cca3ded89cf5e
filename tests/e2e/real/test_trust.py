"""`cto node add` and what follows, with Debian's sshd: reached by address, and through a jump host."""

import json

import pytest

from tests.e2e.real.stage import FAR, GATE, JUMP, Operator, Stage

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("sshd", "ssh-keygen", "ip", "ss", "unshare", "nsenter"),
]
NEAR = ("node", "add", "near", "--address", GATE)
BEHIND = ("node", "add", "behind", "--address", FAR, "--jump", JUMP)


def test_a_machine_with_a_given_key_is_asked_for_facts_and_shown(operator: Operator, stage: Stage) -> None:
    added = operator.ok(*NEAR, "--host-key", str(stage.near_sshd.key) + ".pub")
    assert stage.near_sshd.words in added.stdout
    operator.ok("facts", "gather")
    shown = operator.ok("node", "show", "near").stdout
    assert GATE in shown
    assert stage.near_sshd.words in shown
    assert "facts taken  never" not in shown
    facts = json.loads(operator.ok("node", "show", "near", "--output", "json").stdout)["facts"][0]["body"][
        "facts"
    ]
    assert facts["os"]["hostname"] == "gate"
    assert facts["memory"]["total"] > 0


def test_the_far_machine_is_reached_only_through_the_jump_host(operator: Operator, stage: Stage) -> None:
    operator.ok("node", "add", "lost", "--address", FAR, "--host-key", stage.far_sshd.public)
    refused = operator.expect(4, "facts", "gather", "--node", "lost")
    assert "unreachable" in refused.stderr.lower()

    operator.ok(*BEHIND, "--host-key", stage.far_sshd.public)
    operator.ok("facts", "gather", "--node", "behind")
    shown = json.loads(operator.ok("node", "show", "behind", "--output", "json").stdout)
    assert shown["facts"][0]["body"]["facts"]["os"]["hostname"] == "far"


@pytest.mark.parametrize(("way", "computer"), [(NEAR, "near"), (BEHIND, "far")], ids=["direct", "jump"])
def test_words_compared_on_the_screen_pin_the_key(
    operator: Operator, stage: Stage, way: tuple[str, ...], computer: str
) -> None:
    sshd = stage.near_sshd if computer == "near" else stage.far_sshd
    code, screen = operator.typed("n", *way, "--confirm-words")
    assert code != 0
    assert sshd.words in screen
    assert "not confirmed" in screen
    assert json.loads(operator.ok("node", "list", "--output", "json").stdout) == []

    code, screen = operator.typed("y", *way, "--confirm-words")
    assert (code, "pinned" in screen) == (0, True), screen
    operator.ok("facts", "gather")


@pytest.mark.parametrize("way", [NEAR, BEHIND], ids=["direct", "jump"])
def test_the_words_of_another_machine_are_refused(
    operator: Operator, stage: Stage, way: tuple[str, ...]
) -> None:
    others = (stage.far_sshd if way is NEAR else stage.near_sshd).words
    refused = operator.expect(2, *way, "--words", others)
    assert "the words differ" in refused.stderr
    assert json.loads(operator.ok("node", "list", "--output", "json").stdout) == []
    own = (stage.near_sshd if way is NEAR else stage.far_sshd).words
    operator.ok(*way, "--words", own)


def test_a_jump_host_whose_key_nobody_wrote_down_is_not_used(operator: Operator, stage: Stage) -> None:
    (operator.home / "known_hosts").unlink()
    refused = operator.expect(2, *BEHIND, "--confirm-words")
    assert "the host key of the jump host is not known" in refused.stderr
    (operator.home / "known_hosts").write_text(f"{GATE} {stage.far_sshd.public}\n")
    refused = operator.expect(4, *BEHIND, "--confirm-words")
    assert "jump host" in refused.stderr


def test_a_changed_host_key_is_refused_until_it_is_replaced(operator: Operator, stage: Stage) -> None:
    sshd = stage.gate.sshd(2222)
    way = ("node", "add", "moved", "--address", f"{GATE}:2222")
    operator.ok(*way, "--host-key", sshd.public)
    operator.ok("facts", "gather")
    former = sshd.words
    assert f"{GATE}:2222" in operator.ok("node", "show", "moved").stdout

    sshd.exchanged()
    assert sshd.words != former
    refused = operator.expect(4, "facts", "gather", "--node", "moved")
    assert "host key" in refused.stderr
    shown = operator.ok("node", "show", "moved").stdout
    assert former in shown
    again = operator.expect(2, *way, "--words", sshd.words)
    assert "pinned already" in again.stderr
    assert "2222" in again.stderr
    operator.ok(*way, "--words", sshd.words, "--replace")
    operator.ok("facts", "gather", "--node", "moved")
