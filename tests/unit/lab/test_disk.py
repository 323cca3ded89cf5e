import random

import pytest

from iso.lab import blocks
from iso.lab.disk import Disk, PowerCut

MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "d.img", name="sda", size=64 * MIB)
    yield made
    made.close()


def test_what_is_written_is_read(disk):
    data = random.Random(1).randbytes(300_001)
    disk.write(12_345, data)
    assert disk.read(12_345, len(data)) == data
    assert disk.read(0, 12_345) == bytes(12_345)
    assert list(disk.writes) == [(12_345, len(data))]


def test_zeros_take_no_room(disk):
    before = disk.used()
    disk.write(0, bytes(32 * MIB))
    assert disk.used() - before < MIB
    disk.write(8 * MIB, random.Random(2).randbytes(4 * MIB))
    full = disk.used()
    disk.write(8 * MIB, bytes(4 * MIB))
    assert disk.read(8 * MIB, 4 * MIB) == bytes(4 * MIB)
    assert disk.used() <= full


def test_zeros_inside_a_block_are_written(disk):
    disk.write(0, b"x" * 10_000)
    disk.write(100, bytes(50))
    assert disk.read(99, 52) == b"x" + bytes(50) + b"x"


def test_the_end_of_the_disk_is_an_error(disk):
    with pytest.raises(OSError, match="No space left"):
        disk.write(64 * MIB - 10, b"x" * 11)
    assert disk.read(64 * MIB - 10, 100) == b"x" * 10


def test_a_power_cut_keeps_whole_sectors_and_comes_once(disk):
    cuts = []
    disk.on_power_cut = lambda: cuts.append(1)
    disk.cut_power_after(MIB + 1000)
    disk.write(0, b"a" * MIB)
    with pytest.raises(PowerCut):
        disk.write(MIB, b"b" * MIB)
    assert disk.read(MIB, 600) == b"b" * 512 + bytes(88)
    assert cuts == [1]
    disk.write(MIB, b"c" * MIB)
    assert disk.read(2 * MIB - 1, 1) == b"c"


def test_a_disk_keeps_its_contents(tmp_path):
    first = Disk(tmp_path / "d.img", name="sda", size=MIB)
    first.write(5, b"kept")
    first.close()
    again = Disk(tmp_path / "d.img", name="sda", size=MIB)
    assert again.read(5, 4) == b"kept"
    again.close()


@pytest.mark.parametrize(
    ("contents", "names", "label"),
    [("ext4 backups", ["sda"], "backups"), ("gpt ext4 archive", ["sda", "sda1"], "archive")],
)
def test_a_used_disk_looks_used(disk, contents, names, label):
    blocks.preload(disk, contents, seed="x")
    volumes = [blocks.whole(disk), *blocks.partitions(disk)]
    assert [volume.name for volume in volumes] == names
    found = blocks.signature(volumes[-1])
    assert (found.type, found.label) == ("ext4", label)
    assert not blocks.boots(disk)


@pytest.mark.parametrize(("flushed", "kept"), [(True, b"a"), (False, b"\0")])
def test_a_write_cache_is_lost_with_the_power(disk, flushed, kept):
    disk.cut_power_after(2000, lose_cache=True)
    disk.write(0, b"a" * 1024)
    if flushed:
        disk.flush()
    with pytest.raises(PowerCut):
        disk.write(4096, b"b" * 4096)
    assert disk.read(0, 1) == kept
    assert disk.read(4096, 1) == b"\0"
