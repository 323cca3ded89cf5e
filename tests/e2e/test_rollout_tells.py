"""A rollout in the foreground tells people by itself: no `cto serve` runs, and the mail server is a real one."""

import email
import email.policy
import socket
from email.message import Message

import pytest
from aiosmtpd.controller import Controller

from tests.e2e.rollout_harness import Rollouts

pytestmark = pytest.mark.slow
OLD, NEW = "1.13.8", "1.13.9"


class Box:
    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def port(box):
    with socket.socket() as probe:  # the library asks the port it was told, so 0 won't do
        probe.bind(("127.0.0.1", 0))
        chosen = probe.getsockname()[1]
    running = Controller(box, hostname="127.0.0.1", port=chosen)
    running.start()
    yield chosen
    running.stop()


def subjects(box):
    return [str(mail["Subject"]) for mail in box.mails]


def test_people_hear_of_a_rollout_in_the_foreground(make_lab, box, port):
    """Of what went wrong and of what was done, before the command ends; nobody is told of what he did not choose."""
    lab = make_lab("1,1", "--talos", OLD)
    lab.apply()
    settings = ("host=127.0.0.1", f"port={port}", "tls=none", "from=cto@example.org", "to=ops@example.org")
    words = [word for each in settings for word in ("--set", each)]
    lab.ok(
        "notify",
        "add",
        "email",
        "ops",
        *words,
        "--topic",
        "wave",
        "--topic",
        "hands",
        "--topic",
        "rolled-back",
    )
    assert box.mails == []

    world = Rollouts(lab)
    first, second = (machine.name for machine in lab.info().machines)
    done = world.run("--talos", NEW, "--cluster", lab.machine(first).cluster)
    assert done["status"] == "succeeded"
    told = subjects(box)
    assert told.count(f"[cto] wave done: rollout/{done['id']}") == 2  # its wave, and itself
    assert not any("hands" in subject or "rolled back" in subject for subject in told)

    lab.fault(second, "boot-fails", at=f"v{NEW}", times=0)
    failed = world.run("--talos", NEW, "--cluster", lab.machine(second).cluster, code=4)
    assert failed["status"] == "stopped"
    assert f"[cto] rolled back: node/{second}" in subjects(box)
    assert any(subject.startswith("[cto] needs you: ") for subject in subjects(box))
    assert lab.rows("SELECT * FROM deliveries WHERE state <> 'sent'") == []
