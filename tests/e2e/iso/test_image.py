"""The file that a build makes: its form, what lies beside it, and that a second build makes the same one."""

import hashlib
import json
import shutil
import signal
import subprocess
from pathlib import Path

from tests.e2e.harness import ended
from tests.e2e.iso.conftest import CACHE, Image


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_it_is_a_medium_for_both_firmwares_and_for_sticks(image: Image) -> None:
    command = ["xorriso", "-indev", str(image.iso), "-report_el_torito", "plain"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "BIOS" in report
    assert "UEFI" in report
    table = subprocess.run(["sgdisk", "-v", image.iso], capture_output=True, text=True, check=True).stdout
    assert "No problems found" in table
    assert image.iso.stat().st_size < 150 * 10**6


def test_checksums_and_contents_lie_beside_it(image: Image) -> None:
    folder = image.iso.parent
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256(folder / name) for name in ("cto.iso", "cto.cdx.json")}
    names = {row["name"] for row in json.loads((folder / "cto.cdx.json").read_text())["components"]}
    assert {"systemd", "openssh-server", "linux-image-amd64", "asyncssh", "platform-in-a-box"} <= names


def test_a_build_that_was_broken_off_goes_on_and_makes_the_same_file(image: Image, tmp_path: Path) -> None:
    """Everything but the fetched packages is made again, in another folder; ^C comes while it unpacks."""
    cache = tmp_path / "cache"
    for name in ("debs", "signed"):
        shutil.copytree(CACHE / name, cache / name, copy_function=shutil.copyfile)
    again = tmp_path / "again" / "cto.iso"
    again.parent.mkdir()
    build = ("iso", "build", "--output", str(again), "--cache", str(cache))
    with ended(image.home.start(*build, "--output", "json")) as process:
        for line in process.stdout or ():
            if json.loads(line)["text"].startswith("unpacking "):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert not list(again.parent.iterdir())
    assert not list(cache.glob("base-*"))
    assert str(cache) not in Path("/proc/self/mountinfo").read_text()
    image.home.ok(*build, timeout=1500)
    assert sha256(again) == sha256(image.iso)


def test_another_key_costs_only_the_last_step(image: Image, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    done = image.home.ok(
        *("iso", "build", "--key", f"{key}.pub", "--static", "10.0.0.5/24,10.0.0.1", "--output", "json"),
        *("--out", str(tmp_path / "other.iso"), "--cache", str(CACHE)),
        timeout=600,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    said = {(event["step"], event["text"]) for event in events[:-1]}
    assert ("packages", "unchanged, taken from the cache") in said
    assert events[-1]["built"]["contents"] == ["2 SSH public keys that are let in", "address 10.0.0.5/24"]
    assert events[-1]["built"]["sha256"] != sha256(image.iso)
