"""Sticks on real block devices: loop devices of the kernel, file systems, swap and device mapper on them.

No loop device is removable, so that a whole `cto iso write` is tested in a virtual machine with a USB stick
(tests/e2e/iso). Here is what refuses, and what writes.
"""

import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inventory.errors import NodeError, OperatorError, RefusedError
from iso.build import stick

MIB = 1024 * 1024
pytestmark = [pytest.mark.root, pytest.mark.needs("losetup", "lsblk")]


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    """What the test did to the system is undone, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def device(tmp_path: Path, undo: ExitStack) -> Path:
    """An empty block device of 24 MiB with sectors of 512 bytes."""
    return loop(tmp_path, undo)


def loop(folder: Path, undo: ExitStack, *options: str) -> Path:
    backing = folder / "backing"
    if not backing.exists():
        backing.write_bytes(bytes(24 * MIB))
    made = run("losetup", "--find", "--show", *options, backing)
    undo.callback(run, "losetup", "--detach", made)
    return Path(made)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(9 * MIB // 32)) + b"end")
    return path


def content(device: Path, size: int) -> bytes:
    with device.open("rb") as file:
        return file.read(size)


def test_a_loop_device_and_the_systems_own_disk_are_no_sticks(device: Path) -> None:
    with pytest.raises(RefusedError, match="this is a loop, not a whole disk"):
        stick.look(device)
    root = Path(run("findmnt", "--noheadings", "--output", "SOURCE", "/"))
    if root.exists():  # in a container it may be none of the kernel's
        with pytest.raises(RefusedError, match=r"not removable|not a whole disk"):
            stick.look(root)


def test_a_device_holds_the_image_and_nothing_after_it_changed(device: Path, image: Path) -> None:
    seen: list[tuple[int, int]] = []
    told = stick.write(image, device, 24 * MIB, done=lambda *now: seen.append(now))
    size = image.stat().st_size
    assert content(device, size) == image.read_bytes()
    assert hashlib.sha256(image.read_bytes()).hexdigest() == told
    assert content(device, 24 * MIB)[size:] == bytes(24 * MIB - size)
    assert seen == sorted(seen)
    assert seen[-1] == (2 * size, 2 * size)


def by_file_system(device: Path, folder: Path, undo: ExitStack) -> None:
    run("mkfs.ext4", "-q", device)
    place = folder / "mounted"
    place.mkdir()
    run("mount", device, place)
    undo.callback(run, "umount", place)


def by_swap(device: Path, folder: Path, undo: ExitStack) -> None:
    run("mkswap", device)
    run("swapon", device)
    undo.callback(run, "swapoff", device)


def by_device_mapper(device: Path, folder: Path, undo: ExitStack) -> None:
    name = f"cto-test-{os.getpid()}"
    run("dmsetup", "create", name, "--table", f"0 2048 linear {device} 0")
    undo.callback(run, "dmsetup", "remove", "--retry", name)


@pytest.mark.needs("mkfs.ext4", "mkswap", "dmsetup")
@pytest.mark.parametrize("use", [by_file_system, by_swap, by_device_mapper])
def test_what_is_in_use_is_not_written_whoever_uses_it(
    device: Path, image: Path, tmp_path: Path, undo: ExitStack, use: Callable[[Path, Path, ExitStack], None]
) -> None:
    """The kernel's own word, whatever lsblk said a moment ago."""
    try:
        use(device, tmp_path, undo)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this kernel can't: {error.stderr.splitlines()[0]}")
    before = content(device, 8 * MIB)
    with pytest.raises(OperatorError, match="can't be opened: Device or resource busy") as caught:
        stick.write(image, device, 24 * MIB, done=lambda *_: None)
    assert "close what uses it" in caught.value.fix
    assert content(device, 8 * MIB) == before


def test_a_write_protected_device_is_not_written(tmp_path: Path, undo: ExitStack, image: Path) -> None:
    device = loop(tmp_path, undo, "--read-only")
    with pytest.raises(
        (OperatorError, NodeError), match=r"Operation not permitted|Read-only|can't be opened"
    ):
        stick.write(image, device, 24 * MIB, done=lambda *_: None)


@pytest.mark.parametrize(
    ("share", "says", "boots"),
    [(0.2, "a part of the image and starts no machine", False), (0.7, "was not read back", True)],
)
def test_a_broken_off_write_says_what_is_on_the_stick(
    device: Path, image: Path, share: float, says: str, boots: bool
) -> None:
    """Ctrl-C, by the signal itself. An older image must not start with the new one's middle."""
    with device.open("r+b") as file:
        file.write(b"an older image's boot sector".ljust(512, b"!"))

    def stop(done: int, total: int) -> None:
        if done > total * share:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=says):
        stick.write(image, device, 24 * MIB, done=stop)
    assert content(device, 512) == (image.read_bytes()[:512] if boots else bytes(512))


def test_a_stick_that_is_too_small_is_refused_before_anything_is_written(device: Path, image: Path) -> None:
    image.write_bytes(bytes(25 * MIB))
    with pytest.raises(RefusedError, match="the image has"):
        stick.write(image, device, 24 * MIB, done=lambda *_: None)
    image.write_bytes(b"")
    with pytest.raises(OperatorError, match="the image is empty"):
        stick.check_fits(image, device, 24 * MIB)
