"""A home on a file system that is read-only, or full: looking still works, all else says what to do. Needs root.

Each program runs in a mount namespace of its own, where its home is mounted that way.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import Done, environment, told
from tests.e2e.real.stage import CTO

pytestmark = [pytest.mark.root, pytest.mark.needs("unshare", "mount")]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFR"
READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"'
FULL = 'mount -t tmpfs -o size=256k,mode=700 tmpfs "$1"; head -c 300k /dev/zero > "$1/filling" 2>/dev/null || true'
ADD = ("node", "add", "n1", "--address", "127.0.0.9", "--host-key", KEY)
LOOKS = (
    ("status",),
    ("node", "list"),
    ("node", "show", "n1"),
    ("events",),
    ("window", "list"),
    ("key", "ssh"),
    ("support", "bundle", "--yes"),
)


def cto(mounted: str, folder: Path, *args: str) -> Done:
    script = f'set -e; {mounted}; shift; exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", folder, CTO, *args],
        env=environment(folder / "home"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder.parent,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir()
    return made


def findings(done: Done) -> dict[str, dict[str, str]]:
    assert done.stdout, told("doctor", done, "said nothing")
    return {each["check"]: each for each in json.loads(done.stdout)["findings"]}


@pytest.mark.parametrize("args", LOOKS, ids=" ".join)
def test_a_look_needs_no_writing(folder: Path, args: tuple[str, ...]) -> None:
    for first in (ADD, ("key", "ssh")):
        assert cto("true", folder, *first).returncode == 0
    done = cto(READ_ONLY, folder, *args)
    assert done.returncode == 0, told(args, done, "failed")


@pytest.mark.parametrize("made", [False, True], ids=["no home yet", "a home"])
def test_doctor_finds_that_the_home_is_read_only(folder: Path, made: bool) -> None:
    if made:
        assert cto("true", folder, *ADD).returncode == 0
    done = cto(READ_ONLY, folder, "doctor", "--output", "json")
    found = findings(done)
    assert done.returncode == 2
    assert {name for name, each in found.items() if each["level"] == "bad"} == {"home"}
    assert "can't be written" in found["home"]["what"]
    assert "--home" in found["home"]["fix"]


@pytest.mark.parametrize("args", [ADD, ("lab", "up"), ("token", "list")], ids=" ".join)
def test_a_change_says_that_it_can_not_be_written(folder: Path, args: tuple[str, ...]) -> None:
    done = cto(READ_ONLY, folder, *args)
    assert done.returncode == 2, told(args, done, "ended otherwise")
    assert "read-only" in done.stderr
    assert "--home" in done.stderr


def test_a_full_disk_is_said_to_be_full(folder: Path) -> None:
    for args in (ADD, ("key", "ssh"), ("lab", "up")):
        done = cto(FULL, folder, *args)
        assert done.returncode == 2, told(args, done, "ended otherwise")
        assert "full" in done.stderr, done.stderr
        assert "free some disk space" in done.stderr
