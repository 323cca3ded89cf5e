"""`cto lab up --qemu`: virtual machines that outlive the command, on a bridge that this computer is on."""

import json
from pathlib import Path

from tests.e2e.harness import ProgramHome, until
from tests.e2e.iso import standin
from tests.e2e.iso.conftest import Image, alone


def test_the_labs_machines_are_pinned_and_one_command_installs_them(image: Image, tmp_path: Path) -> None:
    """What is installed is no Talos: the machine's way ends where it says its marker."""
    home = ProgramHome(tmp_path / "home")
    (home.home / "ssh").mkdir(parents=True, mode=0o700)
    home.home.chmod(0o700)
    key = home.home / "ssh" / "id_ed25519"  # the one that the image lets in
    key.write_bytes((image.home.home / "ssh" / "id_ed25519").read_bytes())
    key.chmod(0o600)
    made = standin.build(tmp_path / "standin")
    with alone("lab"):
        try:
            up = home.ok(
                *("lab", "up", "--qemu", "--nodes", "1", "--image", str(image.iso), "--wait", "1500"),
                *("--disk-image", str(made.path), "--output", "json"),
                timeout=1600,
            )
            told = json.loads(up.stdout)
            assert home.node_state("qemu-1") == "pinned"
            running = home.start("apply", "-f", told["site_file"], "--yes")
            try:
                log = Path(told["machines"][0]["serial_log"])
                until(
                    lambda: standin.MARKER in log.read_text(errors="replace") or running.poll() is not None,
                    "the machine starts what was installed",
                    seconds=1200,
                    pause=1,
                )
                assert running.poll() is None, running.communicate()
                until(lambda: home.node_state("qemu-1") == "booting", "it was seen to restart", seconds=600)
            finally:
                running.kill()  # it waits for a Talos that this is not
                running.communicate()
        finally:
            home.ok("lab", "down")
    assert home.node_state("qemu-1") == "reset"
    assert not Path("/run/netns/cto-lab").exists()
    assert not Path("/sys/class/net/cto-lab0").exists()
    assert not (home.home / "qemu").exists()
