"""The commands that make STATE, run for real on a file that stands for a disk: mkfs.xfs, and a mount.

Where the kernel has loop devices, by those; everywhere by xfsprogs alone (`xfs_tools`), so that the bytes are
looked at on any machine. In a mount namespace of its own. No Talos runs in a test: what it makes of them is open.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.app.delivery import state
from iso.lab.image import raw_image
from roles.installer import InstallLayout, plan_layout
from tests.e2e import xfs_tools
from tests.e2e.harness import until

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("mkfs.xfs", "xfs_repair", "xfs_db", "losetup", "sgdisk", "unshare", "blkid"),
]
MIB = 1024 * 1024
TEXT = b"version: v1alpha1\n" + b"# filling\n" * 3000
WAYS = ["xfsprogs", *(["kernel"] if Path("/dev/loop-control").exists() else [])]
Done = subprocess.CompletedProcess[bytes]
# What one connection to a machine would run; /run is the namespace's own, as that of a live system is.
INSIDE = 'mount -t tmpfs tmpfs /run; PATH="$1$PATH" exec sh -c "$2"'


@dataclass(frozen=True)
class Disk:
    link: Path  # as by-id links are
    layout: InstallLayout
    tools: str  # the front of PATH

    def argv(self, command: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", INSIDE, "sh", self.tools, command]

    def sh(self, command: str, stdin: bytes = b"") -> Done:
        return run(*self.argv(command), stdin=stdin)

    @property
    def make(self) -> str:
        return state.make_command(str(self.link), self.layout.config_volume[0], self.layout.config_size)

    @property
    def read(self) -> str:
        return state.read_command(str(self.link), self.layout.config_volume[0], self.layout.config_size)


@pytest.fixture(params=WAYS)
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """The image and the backup table are on it, its first MiB is blank."""
    file = tmp_path / "disk.img"
    layout = _filled(file)
    link = tmp_path / "by-id"
    if request.param == "xfsprogs":
        link.symlink_to(file)
        yield Disk(link, layout, f"{xfs_tools.install(tmp_path / 'bin')}:")
        return
    loop = run("losetup", "--find", "--show", str(file)).stdout.decode().strip()
    link.symlink_to(loop)
    yield Disk(link, layout, "")
    for each in run("losetup", "-j", loop).stdout.decode().splitlines():
        run("losetup", "-d", each.partition(":")[0])
    run("losetup", "-d", loop)


def _filled(file: Path) -> InstallLayout:
    image, size = raw_image("1.9.6", config_from_disk=False), 4096 * MIB
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
    return layout


def run(*argv: str, stdin: bytes = b"") -> Done:
    return subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=120)


def proof() -> list[bytes]:
    return [b"600", hashlib.sha256(TEXT).hexdigest().encode()]


def test_state_is_made_proved_and_made_again_after_a_crash(disk: Disk) -> None:
    assert disk.sh(disk.read).returncode != 0  # nothing is there yet
    cut_off(disk)
    assert disk.sh(disk.read).stdout.split()[1:] != proof()[1:]

    made = disk.sh(disk.make, TEXT)
    assert made.returncode == 0, made.stderr
    assert disk.sh(disk.read).stdout.split()[:2] == proof()

    with disk.link.open("r+b") as device:
        device.write(disk.layout.first_mib)
    look_at(disk)
    assert disk.sh(disk.read).stdout.split()[:2] == proof()
    assert run("losetup", "-j", str(disk.link.resolve())).stdout == b""  # nothing is left behind
    assert not disk.tools or not list((Path(disk.tools.rstrip(":")) / "work").iterdir())


def cut_off(disk: Disk) -> None:
    """The connection breaks while the configuration is sent: everything started for it is killed."""
    process = subprocess.Popen(disk.argv(disk.make), stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    process.stdin.write(TEXT[:100])
    process.stdin.flush()
    file = Path(f"/proc/{process.pid}/root{state.FOLDER}/config.yaml")
    until(lambda: file.exists() and file.stat().st_size, "the configuration begins to arrive", seconds=60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def look_at(disk: Disk) -> None:
    """With tools that know nothing of ours."""
    link, layout = str(disk.link), disk.layout
    assert b"No problems found" in run("sgdisk", "-v", link).stdout
    shown = run("sgdisk", "-i", "5", link).stdout.decode()
    assert "0FC63DAF-8483-4772-8E79-3D69D8477DE4" in shown
    assert "Partition name: 'STATE'" in shown
    assert layout.config_partuuid.upper() in shown
    offset, size = layout.config_volume[0], layout.config_size
    said = run("blkid", "-p", "-O", str(offset), "-S", str(size), link).stdout
    assert b'LABEL="STATE"' in said
    assert b'TYPE="xfs"' in said
    own = disk.link.with_name("range")
    cut = f"iflag=skip_bytes,count_bytes skip={offset} count={size} conv=sparse"
    run("dd", f"if={link}", f"of={own}", "bs=1M", *cut.split())
    assert run("xfs_repair", "-n", str(own)).returncode == 0


def test_the_programs_are_those_that_the_machine_is_asked_for() -> None:
    """Whatever the commands call is in the list that `prepare` checks, or part of every system."""
    words = state.make_command("/dev/x", 0, 1) + state.read_command("/dev/x", 0, 1)
    for tool in state.State.tools:
        assert f"{tool} " in words
        assert shutil.which(tool)
