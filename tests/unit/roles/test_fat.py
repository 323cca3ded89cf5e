"""FAT volumes: ours read by us and by dosfstools and mtools, theirs read by us."""

import gzip
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roles import fat
from roles.fat import FatError

NAMES = st.text(st.sampled_from("abcXYZ019-_ .ü"), min_size=1, max_size=40).filter(
    lambda name: name.strip(" .") == name and name
)


START = fat.build("metal-iso", {"config.yaml": b"x" * 5000}, 9 * 1024 * 1024)[: 64 * 1024]


def unpack(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


@settings(max_examples=40)
@given(st.dictionaries(NAMES.map(str.casefold), st.binary(max_size=9000), max_size=6))
def test_what_was_written_is_read(files: dict[str, bytes]) -> None:
    volume = fat.build("metal-iso", files, 9 * 1024 * 1024)
    assert len(volume) == 9 * 1024 * 1024
    assert fat.read_label(volume) == "metal-iso"
    assert {name: fat.read_file(volume, name) for name in files} == files


@given(st.binary(min_size=0, max_size=600), st.integers(0, 511), st.binary(min_size=1, max_size=64))
def test_any_volume_is_read_or_refused(data: bytes, at: int, patch: bytes) -> None:
    volume = bytearray(START)
    volume[at : at + len(patch)] = patch
    for hostile in (data, bytes(volume)):
        try:
            fat.read_label(hostile)
            fat.read_file(hostile, "config.yaml")
        except FatError:
            continue


def test_equal_inputs_give_equal_bytes() -> None:
    files = {"config.yaml": b"machine: {}\n"}
    assert fat.build("metal-iso", files) == fat.build("metal-iso", files)
    assert fat.build("metal-iso", files) != fat.build("metal-iso", {"config.yaml": b"machine:  \n"})


def test_a_megabyte_of_configuration_fits() -> None:
    content = bytes(range(256)) * 4096
    assert fat.read_file(fat.build("metal-iso", {"config.yaml": content}), "config.yaml") == content


def test_short_names_and_case_do_not_matter() -> None:
    volume = fat.build("metal-iso", {"config.yaml": b"a"})
    assert fat.read_file(volume, "CONFIG.YAML") == b"a"
    assert fat.read_file(volume, "config~1.yam") == b"a"


def test_a_floppy_by_mkfs_is_fat12(role_fixtures: Path) -> None:
    volume = unpack(role_fixtures / "fat12.img.gz")
    assert fat.read_label(volume) == "FLOPPY"
    assert fat.read_file(volume, "config.yaml") == b"machine: {}\n"
    assert fat.read_file(volume, "zzz") == b"a" * 700_000


def test_a_fragmented_volume_by_mkfs(role_fixtures: Path) -> None:
    volume = unpack(role_fixtures / "fat16.img.gz")
    assert fat.read_label(volume) == "metal-iso"
    assert fat.read_file(volume, "a.txt") == b"a" * 700_000
    assert fat.read_file(volume, "config.yaml") == b"machine: {}\n"
    with pytest.raises(FatError, match=r"no file 'one\.bin'"):
        fat.read_file(volume, "one.bin")  # deleted


def test_a_chain_that_loops_ends() -> None:
    volume = bytearray(fat.build("metal-iso", {"config.yaml": b"x" * 10_000}))
    volume[512 + 4 : 512 + 6] = (2).to_bytes(2, "little")  # cluster 2 → 2
    assert len(fat.read_file(bytes(volume), "config.yaml")) == 10_000
    volume[512 + 4 : 512 + 6] = b"\xff\xff"  # and now it ends too early
    with pytest.raises(FatError, match="damaged"):
        fat.read_file(bytes(volume), "config.yaml")


@pytest.mark.parametrize(
    ("label", "files", "what"),
    [
        ("much-too-long", {}, "no FAT label"),
        ("", {}, "no FAT label"),
        ("ü", {}, "no FAT label"),
        ("x", {"a/b": b""}, "no FAT file name"),
        ("x", {"": b""}, "no FAT file name"),
        ("x", {"big": bytes(17 * 1024 * 1024)}, "does not fit"),
        ("x", {f"a file with a long name {n}": b"" for n in range(300)}, "too many"),
    ],
)
def test_what_can_not_be_built(label: str, files: dict[str, bytes], what: str) -> None:
    with pytest.raises(FatError, match=what):
        fat.build(label, files)


def test_a_size_that_would_not_be_fat16() -> None:
    with pytest.raises(FatError, match="can't be FAT16"):
        fat.build("x", {}, 1024 * 1024)


@pytest.mark.needs("fsck.vfat")
def test_fsck_finds_no_fault(tmp_path: Path) -> None:
    image = tmp_path / "volume.img"
    image.write_bytes(
        fat.build("metal-iso", {"config.yaml": b"abc\n" * 30_000, "empty": b"", "A long name.txt": b"x"})
    )
    said = subprocess.run(["fsck.vfat", "-n", "-v", str(image)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


@pytest.mark.needs("mcopy")
def test_mtools_reads_the_same(tmp_path: Path) -> None:
    image = tmp_path / "volume.img"
    image.write_bytes(fat.build("metal-iso", {"config.yaml": b"abc\n" * 30_000}))
    said = subprocess.run(["mcopy", "-i", str(image), "::config.yaml", "-"], capture_output=True, check=True)
    assert said.stdout == b"abc\n" * 30_000
