"""`cto lab up --qemu`: virtual machines that outlive the command, on a bridge that this computer is on."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.harness import ProgramHome, until
from tests.e2e.iso.conftest import Image, alone


def status(home: ProgramHome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.ok("lab", "status", "--output", "json").stdout)[0]
    return found


def test_a_machine_of_the_lab_is_pinned_by_its_words_and_asked_for_facts(
    image: Image, tmp_path: Path
) -> None:
    home = ProgramHome(tmp_path / "home")
    (home.home / "ssh").mkdir(parents=True, mode=0o700)
    home.home.chmod(0o700)
    key = home.home / "ssh" / "id_ed25519"  # the one that the image lets in
    key.write_bytes((image.home.home / "ssh" / "id_ed25519").read_bytes())
    key.chmod(0o600)
    with alone("lab"):
        try:
            home.ok("lab", "up", "--qemu", "--nodes", "1", "--image", str(image.iso), "--memory", "1024")
            found = until(
                lambda: (now := status(home))["state"] == "bootstrap" and now["work"] != "starting" and now,
                "the machine is in the environment",
                seconds=900,
                pause=1,
            )
            home.ok(
                "node", "add", "vm", "--address", found["address"], "--words", found["words"], timeout=300
            )
            home.ok("facts", "gather", "--node", "vm", timeout=300)
            assert "SN-QEMU-1" in home.ok("facts", "show", "vm", "--output", "json").stdout
        finally:
            home.ok("lab", "down")
    assert not Path("/run/netns/cto-lab").exists()
    assert not Path("/sys/class/net/cto-lab0").exists()
    assert not (home.home / "qemu").exists()
