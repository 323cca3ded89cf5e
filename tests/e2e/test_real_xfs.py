"""The commands that make STATE, run for real: kernel loop devices, mkfs.xfs and mount on a file that stands for a disk.

In a mount namespace of its own. What Talos makes of the partition can't be tried here: no Talos runs in a test.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.app.delivery import state
from iso.lab.image import raw_image
from roles.installer import InstallLayout, plan_layout

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("mkfs.xfs", "xfs_repair", "losetup", "sgdisk", "unshare", "blkid"),
    pytest.mark.skipif(not Path("/dev/loop-control").exists(), reason="this kernel has no loop devices"),
]
MIB = 1024 * 1024
TEXT = b"version: v1alpha1\n" + b"# filling\n" * 3000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, InstallLayout]]:
    """The image and the backup table are on it, its first MiB is blank; reached by a link, as by-id links are."""
    image = raw_image("1.9.6", config_from_disk=False)
    file, link = tmp_path / "disk.img", tmp_path / "by-id"
    size = 4096 * MIB
    layout = plan_layout(
        image[:MIB],
        len(image),
        disk_size=size,
        logical_sector=512,
        config=TEXT,
        config_partuuid=uuid.uuid4(),
        method="state",
    )
    with file.open("wb") as out:
        out.truncate(size)
        out.seek(layout.body[0])
        out.write(image[layout.body[0] :])
        out.seek(layout.backup[0])
        out.write(layout.backup[1])
    loop = run("losetup", "--find", "--show", str(file)).stdout.decode().strip()
    link.symlink_to(loop)
    yield link, layout
    for each in run("losetup", "-j", loop).stdout.decode().splitlines():
        run("losetup", "-d", each.partition(":")[0])
    run("losetup", "-d", loop)


def run(*argv: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)


def sh(command: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    done = run("unshare", "-m", "sh", "-c", command, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done


def test_state_is_made_proved_and_made_again_after_a_crash(disk: tuple[Path, InstallLayout]):
    link, layout = disk
    at = (str(link), layout.config_volume[0], layout.config_size)
    assert run("unshare", "-m", "sh", "-c", state.read_command(*at)).returncode != 0  # nothing is there yet

    # The connection breaks while the configuration is sent: everything started for it is killed.
    cut_off = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", state.make_command(*at)], stdin=subprocess.PIPE, start_new_session=True
    )
    assert cut_off.stdin is not None
    cut_off.stdin.write(TEXT[:100])
    cut_off.stdin.flush()
    until_mounted(cut_off.pid)
    os.killpg(cut_off.pid, signal.SIGKILL)
    cut_off.communicate()
    assert run("unshare", "-m", "sh", "-c", state.read_command(*at)).stdout.split()[1:] != proof()[1:]

    sh(state.make_command(*at), TEXT)
    assert sh(state.read_command(*at)).stdout.split()[:2] == proof()

    with link.open("r+b") as device:
        device.write(layout.first_mib)
    assert b"No problems found" in run("sgdisk", "-v", str(link)).stdout
    shown = run("sgdisk", "-i", "5", str(link)).stdout.decode()
    assert "0FC63DAF-8483-4772-8E79-3D69D8477DE4" in shown
    assert "Partition name: 'STATE'" in shown
    assert layout.config_partuuid.upper() in shown
    offset, size = str(layout.config_volume[0]), str(layout.config_size)
    said = run("blkid", "-p", "-O", offset, "-S", size, str(link)).stdout
    assert b'LABEL="STATE"' in said
    assert b'TYPE="xfs"' in said
    own = run(
        "losetup", "--find", "--show", "-r", "-o", offset, "--sizelimit", size, str(link)
    ).stdout.strip()
    assert run("xfs_repair", "-n", own.decode()).returncode == 0
    assert sh(state.read_command(*at)).stdout.split()[:2] == proof()
    assert run("losetup", "-j", str(link.resolve())).stdout == b""  # nothing is left behind


def proof() -> list[bytes]:
    return [b"600", hashlib.sha256(TEXT).hexdigest().encode()]


def until_mounted(pid: int) -> None:
    """Until the file system is mounted in that process's mount namespace."""
    from tests.e2e.harness import until

    mounts = Path(f"/proc/{pid}/mounts")
    until(lambda: state.FOLDER in mounts.read_text() or None, "STATE is mounted", seconds=30)


def test_the_programs_are_those_that_the_machine_is_asked_for():
    """Whatever the commands call is in the list that `prepare` checks, or part of every system."""
    words = state.make_command("/dev/x", 0, 1) + state.read_command("/dev/x", 0, 1)
    for tool in state.State.tools:
        assert f"{tool} " in words
        assert shutil.which(tool)
