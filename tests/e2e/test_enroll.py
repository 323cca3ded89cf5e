"""Simulated machines enrol themselves: found by mDNS on the loopback, approved by the words on their consoles."""

import json
import signal
from collections.abc import Callable

from tests.e2e.harness import LabHome, until

OPEN = ("enroll", "open", "--interface", "127.0.0.1", "--port", "0")


def listed(lab: LabHome) -> dict:
    return json.loads(lab.ok("enroll", "list", "--output", "json").stdout)


def pending(lab: LabHome) -> list[dict]:
    return [row for row in listed(lab)["machines"] if row["state"] == "pending"]


def test_a_machine_appears_is_approved_and_installed_with_no_further_step(make_lab: Callable[..., LabHome]):
    lab = make_lab("1", "--enroll")
    name = lab.info().machines[0].name
    assert lab.node_state(name) == "declared"
    opened = lab.start(*OPEN, "--output", "json")
    row = until(lambda: pending(lab), "the machine asks", seconds=120)[0]
    machine = until(lambda: m if (m := lab.machine(name)).enroll_words else None, "it shows its words")
    assert machine.enroll_words == row["words"]
    assert row["words"] in machine.console
    refused = lab.cto("enroll", "approve", row["id"], "--words", "zoo " * 6)
    assert refused.returncode == 2
    assert "the words differ" in refused.stderr
    done = lab.ok("enroll", "approve", row["id"], "--words", machine.enroll_words)
    assert f"{row['id']} is {name}" in done.stdout
    until(lambda: lab.machine(name).enroll_state == "approved", "it hears so")
    lab.apply()
    assert lab.node_state(name) == "ready"
    opened.send_signal(signal.SIGINT)
    out, err = opened.communicate(timeout=60)
    assert opened.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["enrollment"]["state"] for line in lines if "enrollment" in line] == ["pending", "approved"]
    assert listed(lab)["state"] == "closed"
    lab.check_store()


def test_the_controller_that_serves_listens_itself(make_lab: Callable[..., LabHome]):
    lab = make_lab("1", "--enroll")
    serving = lab.start("serve", "--port", "0", "--output", "json")
    assert serving.stdout is not None
    assert "url" in serving.stdout.readline()
    opened = json.loads(lab.ok(*OPEN, "--output", "json").stdout)
    assert opened["pid"] == serving.pid
    assert opened["invitations"][0].startswith("cto-enroll://127.0.0.1:")
    until(lambda: pending(lab), "the machine asks", seconds=120)
    lab.ok("enroll", "close")
    until(lambda: not listed(lab)["window"]["endpoints"], "nobody listens any more")
    assert pending(lab)
    serving.send_signal(signal.SIGINT)
    serving.communicate(timeout=60)
