"""The partition table codec: against what sgdisk wrote, against what sgdisk says, and against itself."""

import gzip
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roles import gpt
from roles.gpt import MIB, Partition, PartitionTableError, Table

GUID = UUID("11111111-2222-3333-4444-555555555555")
NEW = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Any table whose partitions neither overlap nor leave the disk."""
    sectors = draw(st.integers(10_000, 2**33))
    marks = draw(st.lists(st.integers(34, sectors - 34), unique=True, max_size=12).map(sorted))
    indices = draw(st.permutations(range(1, 13)))
    names = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0", max_codepoint=0xFFFF), max_size=36
    )
    parts = [
        Partition(
            indices[at],
            draw(st.uuids(version=4)),
            draw(st.uuids(version=4)),
            first,
            last - 1,
            draw(names),
            draw(st.integers(0, 2**64 - 1)),
        )
        for at, (first, last) in enumerate(zip(marks[::2], marks[1::2], strict=False))
    ]
    return Table(draw(st.uuids()), sectors, tuple(sorted(parts, key=lambda part: part.index)))


def disk_of(table: Table, mbr: bytes = b"") -> bytes:
    disk = bytearray(table.sectors * 512)
    head, tail = gpt.primary(table, mbr), gpt.backup(table)
    disk[: len(head)] = head
    disk[gpt.backup_offset(table) :] = tail
    return bytes(disk)


def reader(data: bytes) -> gpt.Read:
    return lambda offset, length: data[offset : offset + length]


def small_table(sectors: int = 100_000) -> Table:
    efi = Partition(1, gpt.EFI_SYSTEM, GUID, 2048, 4095, "EFI")
    meta = Partition(3, gpt.LINUX_FILESYSTEM, NEW, 4096, 6000, "META")
    return Table(GUID, sectors, (efi, meta))


@settings(max_examples=60)
@given(tables())
def test_what_was_written_is_read(table: Table) -> None:
    head = gpt.primary(table, b"\x90" * 440)
    assert len(head) == 34 * 512
    assert gpt.parse(reader(head), table.sectors) == table
    assert len(gpt.backup(table)) == 33 * 512


@given(st.binary(max_size=40_000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(PartitionTableError):
        gpt.parse(reader(data), 100_000)


@settings(max_examples=60)
@given(st.integers(512, 34 * 512 - 1), st.integers(1, 255))
def test_every_changed_byte_of_header_or_entries_is_noticed(at: int, flip: int) -> None:
    head = bytearray(gpt.primary(small_table(), b""))
    head[at] ^= flip
    if 512 + 92 <= at < 1024:
        return  # the reserved rest of the header's sector
    with pytest.raises(PartitionTableError):
        gpt.parse(reader(bytes(head)), 100_000)


def test_a_disk_that_sgdisk_made(role_fixtures: Path) -> None:
    data = gzip.decompress((role_fixtures / "gpt.img.gz").read_bytes())
    table = gpt.parse(reader(data), len(data) // 512)
    assert str(table.disk_guid) == "bed95f7b-9831-42da-a6a9-0ccd8df0a248"
    assert table.partitions[1] == Partition(
        2,
        gpt.LINUX_FILESYSTEM,
        UUID("1151ff3e-8c33-4739-9a92-e9a327dc7a21"),
        4096,
        20479,
        "META",
        attributes=4,
    )
    assert gpt.backup(table) == data[-33 * 512 :]
    assert gpt.primary(table, data[:512])[512:] == data[512 : 34 * 512]


def test_boot_code_and_its_mark_are_kept() -> None:
    old = bytearray(gpt.primary(small_table(), b"\xab" * 440))
    old[446] = 0x80  # as Talos marks it for BIOSes that look for an active partition
    new = gpt.primary(gpt.resize(small_table(), 5_000_000), bytes(old[:512]))
    assert new[:440] == b"\xab" * 440
    assert new[446:462] == bytes.fromhex("80 000200 ee ffffff 01000000 3f4b4c00")
    assert new[510:512] == b"\x55\xaa"


def test_protective_entry_of_a_huge_disk_is_capped() -> None:
    head = gpt.primary(Table(GUID, 2**33), b"")
    assert head[458:462] == b"\xff" * 4


def test_a_partition_is_added_after_another_and_aligned() -> None:
    table = gpt.add_after(
        small_table(), "META", "new", size_bytes=16 * MIB, type_guid=gpt.EFI_SYSTEM, guid=NEW
    )
    added = table.named("new")
    assert added is not None
    assert (added.index, added.first_lba, added.sectors) == (2, 6144, 32768)
    assert table.offset(added) == 3 * MIB
    assert table.size(added) == 16 * MIB
    assert [part.index for part in table.partitions] == [1, 2, 3]


def test_no_room_after_it() -> None:
    after = Partition(4, gpt.LINUX_FILESYSTEM, GUID, 8192, 9000, "next")
    table = replace(small_table(), partitions=(*small_table().partitions, after))
    with pytest.raises(PartitionTableError, match=r"partition 4 \('next', sectors 8192 to 9000\) overlaps"):
        gpt.add_after(table, "META", "new", size_bytes=16 * MIB, type_guid=gpt.EFI_SYSTEM, guid=NEW)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(PartitionTableError, match=r"no partition .STATE. .there are: EFI, META"):
        gpt.add_after(small_table(), "STATE", "new", size_bytes=1, type_guid=NEW, guid=NEW)


def test_a_full_table_takes_no_more() -> None:
    parts = tuple(Partition(n, NEW, NEW, 2048 * n, 2048 * n + 9, f"p{n}") for n in range(1, 129))
    with pytest.raises(PartitionTableError, match="all 128"):
        gpt.add_after(Table(GUID, 10**6, parts), "p128", "new", size_bytes=1, type_guid=NEW, guid=NEW)


def test_shrinking_below_a_partition_is_refused() -> None:
    with pytest.raises(PartitionTableError, match="does not fit"):
        gpt.resize(small_table(), 6000)


def test_a_name_that_is_too_long_is_refused() -> None:
    table = replace(small_table(), partitions=(Partition(1, NEW, NEW, 2048, 4095, "x" * 37),))
    with pytest.raises(PartitionTableError, match="longer than 36"):
        gpt.backup(table)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(PartitionTableError) as caught:
        gpt.parse(reader(bytes(40_000)), 78)
    assert "use a disk image with a GPT" in str(caught.value)


@pytest.mark.needs("sgdisk")
def test_sgdisk_finds_no_fault(tmp_path: Path) -> None:
    grown = gpt.resize(small_table(), 300_000)
    table = gpt.add_after(
        grown, "META", "metal-iso", size_bytes=16 * MIB, type_guid=gpt.EFI_SYSTEM, guid=GUID
    )
    image = tmp_path / "disk.img"
    image.write_bytes(disk_of(table))
    said = subprocess.run(
        ["sgdisk", "-v", "-p", str(image)], capture_output=True, text=True, check=True
    ).stdout
    assert "No problems found" in said
    assert "metal-iso" in said
