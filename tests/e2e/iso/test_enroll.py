"""A machine whose image carries a token: it finds the controller, is approved by six words, and is installed.

Nobody presses a key on it. What is installed is no Talos, so its way ends at `booting`.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from iso.qemu.bridge import Bridge
from iso.qemu.spec import Disk, VmSpec
from iso.qemu.vm import Vm
from tests.e2e.harness import CTO, Done, ProgramHome, environment, told, until
from tests.e2e.iso import standin
from tests.e2e.iso.conftest import CACHE, Image, blank_disk, identity, site_text

WAITING = r"CTO-STATUS .* enroll=waiting:([a-z]+(?:-[a-z]+){5})"


class Inside(ProgramHome):
    """A home whose program runs on the machines' network."""

    def __init__(self, home: Path, bridge: Bridge) -> None:
        super().__init__(home)
        self.bridge = bridge

    def start(self, *args: str, env: Any = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.bridge.inside, *CTO, *args],
            env=environment(self.home, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@contextmanager
def running(process: "subprocess.Popen[str]", what: str) -> Iterator["subprocess.Popen[str]"]:
    """In the background; if the block fails, what the process said is told."""
    try:
        yield process
    except BaseException as error:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(told(what, Done([what], process.returncode, out, err), str(error))) from error
    process.kill()
    process.communicate()


def test_a_machine_with_a_token_is_approved_and_installed_without_a_key_pressed(
    image: Image, bridge: Bridge, start: Callable[..., Vm], tmp_path: Path
) -> None:
    home = Inside(tmp_path / "home", bridge)
    made = standin.build(tmp_path / "standin")
    disk_image = {"talos": "1.13.9", "url": made.path.absolute().as_uri(), "sha256": made.sha256}
    site, medium = tmp_path / "site.yaml", tmp_path / "enroll.iso"
    site.write_text(without_address(site_text("zero", "192.168.98.20", 22, disk_image)))
    build = ("iso", "build", "--site", str(site), "--countdown", "5", "--output", str(medium))
    said = home.ok(*build, "--cache", str(CACHE), timeout=900).stdout
    assert "This file is a secret" in said
    assert "enrolment token" in said
    assert "the site file's part about zero" in said
    assert medium.stat().st_mode & 0o777 == 0o600
    token = json.loads(home.ok("token", "list", "--output", "json").stdout)[0]
    assert (token["site"], token["role"], token["uses"]) == ("zero", "appliance", 1)
    vm = start(
        VmSpec(
            "zero",
            identity("zero"),
            medium=medium,
            disks=(Disk(blank_disk(tmp_path / "disk"), "virtio", "DISK-zero"),),
            tap=bridge.tap(f"tz{os.getpid() % 10000}"),
            mac="52:54:00:98:00:70",
            memory=4096,
        ),
        prefix=bridge.inside,
    )
    vm.wait_for(r"work=zero:_will_ask_to_be_enrolled;_starting_in_\d")
    vm.wait_for("enroll=looking")  # nobody answers yet
    with running(home.start("enroll", "open", "--for", "60m", "-f", str(site)), "enroll open"):
        words = vm.wait_for(WAITING)[1].replace("-", " ")
        pending = until(lambda: listed(home) or None, "the machine is in the list", seconds=120)
        assert words in json.dumps(pending)
        home.ok("enroll", "approve", pending[0]["id"], "--words", words, "--as", "zero", timeout=300)
        vm.wait_for("enroll=approved")
    assert home.node_state("zero") == "pinned"
    assert json.loads(home.ok("token", "list", "--output", "json").stdout)[0]["uses"] == 0
    with running(home.start("apply", "-f", str(site), "--yes"), "apply"):
        vm.wait_for(f"{standin.MARKER} platform=pc")
        until(lambda: home.node_state("zero") == "booting", "the node was seen to restart", seconds=600)


def listed(home: ProgramHome) -> list[dict[str, Any]]:
    answer = json.loads(home.ok("enroll", "list", "--output", "json").stdout)
    return [row for row in answer["machines"] if row["state"] == "pending"]


def without_address(text: str) -> str:
    """Nobody knows beforehand which one DHCP will give it."""
    documents = list(yaml.safe_load_all(text))
    for node in documents[1]["spec"]["nodes"]:
        del node["address"], node["sshPort"]
    return yaml.safe_dump_all(documents)
