"""Compressed trees: the same bytes for the same tree, whenever and in which order it was made."""

import time
from pathlib import Path

import pytest

from iso.build import base, trim

pytestmark = pytest.mark.needs("mksquashfs")


def tree(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name * 100)
    trim.set_times(root, 1_000)
    return root


def test_two_trees_with_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """The time of compressing was once in there."""
    names = ["a/b", "a/c", "d"]
    first, second = tree(tmp_path / "1" / "t", names), tree(tmp_path / "2" / "t", names[::-1])
    base.squash(first, tmp_path / "1.squashfs", epoch=1_000, report=lambda _: None)
    made = int(time.time())
    while int(time.time()) == made:  # the file system's time has whole seconds
        time.sleep(0.05)
    base.squash(second, tmp_path / "2.squashfs", epoch=1_000, report=lambda _: None)
    assert (tmp_path / "1.squashfs").read_bytes() == (tmp_path / "2.squashfs").read_bytes()
