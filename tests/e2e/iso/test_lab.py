"""`cto lab up --qemu`: virtual machines that outlive the command, on a bridge that this computer is on.

Three of them, of three kinds. What is installed is no Talos: each machine's way ends where it says its marker.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import ProgramHome, until
from tests.e2e.iso import standin
from tests.e2e.iso.conftest import Image, alone, home_with_key

NODES = ("qemu-cp-1", "qemu-cp-2", "qemu-cp-3")
OWN = """\
vendor: ACME, Inc.
product: Box 9
serial: 7XK2M13
uuid: 4c4c4544-0058-4b10-8032-b7c04f4d3133
disks:
  - {kind: nvme, gib: 20, serial: CHOSEN-NVME}
  - {kind: virtio, gib: 24, serial: CHOSEN-VIRTIO}
"""


@dataclass(frozen=True)
class Lab:
    home: ProgramHome
    told: dict[str, Any]

    def facts(self, node: str) -> str:
        return self.home.ok("facts", "show", node, "--output", "json").stdout


@pytest.fixture(scope="module")
def lab(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    home = home_with_key(folder / "home", image.home.home)
    own = folder / "own.yaml"
    own.write_text(OWN)
    made = standin.build(folder / "standin")
    with alone("lab"):
        try:
            up = home.ok(
                *("lab", "up", "--qemu", "--nodes", "3", "--image", str(image.iso), "--wait", "1500"),
                *("--hardware", "dell-r660", "--hardware", str(own), "--hardware", "hpe-dl360-gen11"),
                *("--disk-image", str(made.path), "--output", "json"),
                timeout=1600,
            )
            yield Lab(home, json.loads(up.stdout))
        finally:
            home.ok("lab", "down")
    assert home.node_state(NODES[0]) == "reset"
    assert not Path("/run/netns/cto-lab").exists()
    assert not Path("/sys/class/net/cto-lab0").exists()
    assert not (home.home / "qemu").exists()


def test_three_machines_are_found_pinned_known_and_installed_by_one_command(lab: Lab) -> None:
    """In this order: each step is the next one's beginning."""
    machines = lab.told["machines"]
    assert [machine["name"] for machine in machines] == list(NODES)
    assert {lab.home.node_state(node) for node in NODES} == {"pinned"}
    are_announced(lab, {machine["address"] for machine in machines})
    are_what_was_chosen(lab)
    are_installed(lab)


def are_announced(lab: Lab, addresses: set[str]) -> None:
    """Over the bridge, to this computer."""
    seen = lab.home.ok("discover", "--interface", "cto-lab0", "--seconds", "8", "--output", "json").stdout
    rows = json.loads(seen.splitlines()[-1])["seen"]  # with other machines that this computer hears
    ours = [row for row in rows if addresses & set(row["addresses"])]
    assert {address for row in ours for address in row["addresses"]} == addresses
    assert len({row["enroll_id"] for row in ours}) == len(NODES)


def are_what_was_chosen(lab: Lab) -> None:
    lab.home.ok("facts", "gather", timeout=300)
    assert "PowerEdge R660" in lab.facts("qemu-cp-1")
    own = lab.facts("qemu-cp-2")
    for text in ("ACME, Inc.", "Box 9", "7XK2M13", "4c4c4544-0058-4b10-8032-b7c04f4d3133"):
        assert text in own
    assert "CHOSEN-NVME" in own
    assert "CHOSEN-VIRTIO" in own
    assert "ProLiant DL360" in lab.facts("qemu-cp-3")


def are_installed(lab: Lab) -> None:
    """By the site file that `lab up` wrote."""
    logs = [Path(machine["serial_log"]) for machine in lab.told["machines"]]
    running = lab.home.start("apply", "-f", lab.told["site_file"], "--yes")
    try:
        for log in logs:
            until(
                lambda log=log: (
                    standin.MARKER in log.read_text(errors="replace") or running.poll() is not None
                ),
                f"what was installed starts, as {log} tells",
                seconds=1200,
                pause=1,
            )
            assert running.poll() is None, running.communicate()
        for node in NODES:
            until(lambda node=node: lab.home.node_state(node) == "booting", f"{node} restarts", seconds=600)
    finally:
        running.kill()  # it waits for a Talos that this is not
        out, err = running.communicate()
    status = json.loads(lab.home.ok("lab", "status", "--output", "json").stdout)
    assert {row["state"] for row in status} == {"restarted"}, f"{out}\n{err}"
