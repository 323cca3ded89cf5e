"""The commands over a small lab: real SSH, real mDNS, on addresses of this test's own."""

import os
import signal
import subprocess
import sys

import pytest

from iso.lab.faults import KINDS


@pytest.fixture
def lab(cto, home):
    ran = cto("lab", "up", "--mixed", "1,1", "--boot-seconds", "0.05", "--output", "json")
    assert ran.code == 0, ran.err
    assert ran.json["machines"] == 2
    yield ran.json
    cto("lab", "down")


def test_a_lab_from_up_to_down(cto, lab):
    machines = cto("lab", "status", "--output", "json").json
    names = [machine["name"] for machine in machines]
    assert (
        cto("lab", "up", "--mixed", "1,1", "--boot-seconds", "0.05").code == 0
    )  # a lab that runs is left as it is
    assert machines[0]["hardware"] in cto("lab", "status").out

    assert cto("validate", "-f", lab["site_file"]).code == 0
    assert [node["state"] for node in cto("node", "list", "--output", "json").json] == ["pinned", "pinned"]
    answers = cto("facts", "gather", "--output", "json").lines
    assert sorted(answer["node"] for answer in answers) == sorted(names)
    assert all(answer["changed"] for answer in answers)
    assert "as before" in cto("facts", "gather", "--node", names[0]).out
    assert "GiB" in cto("facts", "show", names[0]).out

    console = cto("lab", "status", "--console", names[0]).out
    assert "KEY " in console
    assert cto("lab", "status", "--console", "nobody").code == 2

    refused = cto("lab", "fault", names[0], "refuse", "--times", "9")
    assert refused.code == 0
    ran = cto("facts", "gather", "--output", "json")
    assert ran.code == 5
    assert next(answer for answer in ran.lines if answer["node"] == names[0])["error"]["fix"]

    unknown = cto("lab", "fault", names[0], "hiccup")
    assert unknown.code == 2
    assert all(kind in unknown.err for kind in KINDS)
    assert cto("lab", "clear", names[0], "--output", "json").json["faults"] == []
    assert cto("facts", "gather").code == 0

    assert cto("lab", "down", "--output", "json").json == {"stopped": True}
    assert {node["state"] for node in cto("node", "list", "--output", "json").json} == {"reset"}
    assert cto("lab", "status").code == 2


def test_counts_of_machines_are_checked(cto):
    for text in ("", "a", "0", "1,,x", "500"):
        assert cto("lab", "up", "--mixed", text).code == 2


@pytest.mark.parametrize(
    ("argv", "named", "says"),
    [
        (("--image", "x.iso"), "--image", "add --qemu"),
        (("--memory", "2048"), "--memory", "add --qemu"),
        (("--disk-image", "x.raw"), "--disk-image", "add --qemu"),
        (("--wait", "0"), "--wait", "add --qemu"),
        (("--qemu", "--sites", "2"), "--sites", "leave out --qemu"),
        (("--qemu", "--mixed", "2,1"), "--mixed", "leave out --qemu"),
        (("--qemu", "--seed", "a"), "--seed", "leave out --qemu"),
        (("--qemu", "--boot-seconds", "1"), "--boot-seconds", "leave out --qemu"),
        (("--qemu", "--enroll"), "--enroll", "leave out --qemu"),
        (("--mixed", "2,1", "--nodes", "3"), "--nodes", "leave out --nodes"),
        (("--mixed", "2,1", "--sites", "3"), "--sites", "leave out --sites"),
    ],
)
def test_what_would_be_ignored_is_refused(cto, home, argv, named, says):
    ran = cto("lab", "up", *argv)
    assert ran.code == 2
    assert named in ran.err
    assert says in ran.err
    assert not home.exists()


def test_discovery_shows_machines_as_they_announce_themselves(cto, lab, home):
    wanted = {m["address"] for m in cto("lab", "status", "--output", "json").json}
    argv = [
        sys.executable,
        "-c",
        "from controller.cli.main import main; main()",
        "discover",
        "--seconds",
        "60",
    ]
    environ = {**os.environ, "CTO_HOME": str(home)}
    with subprocess.Popen(
        [*argv, "--interface", "lo"], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:  # ends when all were seen, or when the minute is over
            wanted -= {address for address in wanted if f" {address}:2222" in line}
            if not wanted:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert not wanted
    assert process.returncode == 130


def test_discovery_as_json_lines(cto, home):
    ran = cto("discover", "--seconds", "0.2", "--interface", "lo", "--output", "json")
    assert ran.code == 0
    assert all("seen" in line for line in ran.lines)
