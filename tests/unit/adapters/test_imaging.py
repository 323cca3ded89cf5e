"""Writing to a disk over SSH with the real shell and tools. The disk is a file; only blockdev is a stand-in."""

import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import zstandard

from controller.adapters.images import ImageCache
from controller.app import imaging
from controller.app.ports import CachedImage, Target
from inventory.errors import CheckFailed, CommandFailed, OperatorError
from tests.peers_ssh import shell

pytestmark = pytest.mark.needs("dd", "sha256sum", "zstd", "tail")

MIB = 1024 * 1024
RAW = os.urandom(3 * MIB + 777)


class Node:
    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.disk = folder / "the disk's file"  # a name that needs quoting
        self.disk.write_bytes(b"\x55" * (8 * MIB))
        self.tool("blockdev", "exit 0")
        self.target: Target

    def tool(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)


@pytest.fixture
async def node(tmp_path: Path, peer: Callable[..., Awaitable[object]]) -> Node:
    made = Node(tmp_path)
    server = await peer(shell({"PATH": f"{made.bin}:{os.environ['PATH']}"}))
    made.target = server.target()  # type: ignore[attr-defined]
    return made


@pytest.fixture
def images(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "images")


@pytest.fixture
async def image(tmp_path: Path, images: ImageCache) -> CachedImage:
    (tmp_path / "image.raw.zst").write_bytes(zstandard.ZstdCompressor().compress(RAW))
    return await images.ensure(str(tmp_path / "image.raw.zst"))


async def test_all_but_the_first_mib_is_written_and_proved(
    ssh, node: Node, image: CachedImage, images
) -> None:
    sent: list[int] = []
    await imaging.write_image(ssh, node.target, str(node.disk), image, images, sent=sent.append)
    data = node.disk.read_bytes()
    assert data[:MIB] == b"\x55" * MIB
    assert data[MIB : len(RAW)] == RAW[MIB:]
    assert data[len(RAW) :] == b"\x55" * (8 * MIB - len(RAW))
    assert sum(sent) == image.compressed_size


async def test_bytes_are_written_where_they_belong_and_read_back(ssh, node: Node) -> None:
    before = node.disk.read_bytes()
    data = os.urandom(12345)
    await imaging.write_bytes(ssh, node.target, str(node.disk), 4321, data)
    after = node.disk.read_bytes()
    assert after == before[:4321] + data + before[4321 + len(data) :]
    assert await imaging.read_bytes(ssh, node.target, str(node.disk), 4321, len(data)) == data
    found = await imaging.hash_range(ssh, node.target, str(node.disk), 0, MIB)
    assert found == hashlib.sha256(after[:MIB]).hexdigest()


@pytest.mark.parametrize(
    ("tool", "text", "says"),
    [
        ("zstd", "echo zstd is broken >&2; exit 1", "zstd is broken"),
        ("tail", "cat >/dev/null; exit 9", "tail failed"),
        ("dd", "cat >/dev/null; echo 'dd: No space left on device' >&2; exit 1", "No space left"),
    ],
)
async def test_the_failure_of_every_stage_counts(
    ssh, node, image, images, tool: str, text: str, says: str
) -> None:
    node.tool(tool, text)
    with pytest.raises(CommandFailed, match=says):
        await imaging.write_image(ssh, node.target, str(node.disk), image, images, sent=lambda _n: None)


async def test_a_disk_that_forgets_is_found_out(ssh, node: Node, image: CachedImage, images) -> None:
    node.tool(
        "dd",
        'case "$*" in *of=*) exec cat >/dev/null;; *) exec /usr/bin/env PATH=/usr/bin:/bin dd "$@";; esac',
    )
    with pytest.raises(CheckFailed, match="does not hold what was written"):
        await imaging.write_image(ssh, node.target, str(node.disk), image, images, sent=lambda _n: None)
    with pytest.raises(CheckFailed):
        await imaging.write_bytes(ssh, node.target, str(node.disk), 0, b"boot sector")


async def test_an_image_that_changed_since_it_was_checked_is_never_taken_for_written(
    ssh, node, image, images
) -> None:
    other = zstandard.ZstdCompressor().compress(os.urandom(len(RAW)))
    Path(image.path).write_bytes(other)
    with pytest.raises(OperatorError, match="changed while it was sent"):
        await imaging.write_image(ssh, node.target, str(node.disk), image, images, sent=lambda _n: None)


async def test_reading_past_the_end_is_an_error(ssh, node: Node) -> None:
    with pytest.raises(CommandFailed):
        await imaging.read_bytes(ssh, node.target, str(node.disk), 8 * MIB - 10, 20)


async def test_a_missing_disk_is_an_error(ssh, node: Node) -> None:
    node.tool("blockdev", 'echo "blockdev: cannot open $2: No such file" >&2; exit 1')
    with pytest.raises(CommandFailed, match="No such file"):
        await imaging.hash_range(ssh, node.target, "/dev/nothing", 0, 10)
