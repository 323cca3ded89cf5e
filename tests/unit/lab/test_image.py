import hashlib

import zstandard

from inventory.resolve import load_files
from iso.lab import image
from iso.lab.process import Lab
from iso.lab.sitefile import site_file
from roles import gpt

MIB = 1024 * 1024


def table_of(raw):
    return gpt.parse(lambda offset, length: raw[offset : offset + length], len(raw) // 512)


def test_the_image_has_the_partitions_of_the_real_one():
    raw = image.raw_image("1.13.9")
    table = table_of(raw)
    assert [part.name for part in table.partitions] == ["EFI", "BIOS", "BOOT", "META"]
    assert table.size(table.named("META")) == MIB
    assert len(raw) <= 32 * MIB
    assert any(raw[:440])
    assert raw[510:512] == b"\x55\xaa"
    for name in ("EFI", "BOOT"):
        start = table.offset(table.named(name))
        assert raw[start : start + 100].startswith(b"lab-talos: v1.13.9 talos.config=metal-iso\n")
    assert raw[gpt.backup_offset(table) :] == gpt.backup(table)


def test_arm_has_no_bios_half():
    assert [part.name for part in table_of(image.raw_image("1.13.9", "arm64")).partitions] == ["EFI", "META"]


def test_same_input_same_file(tmp_path):
    first = image.write_image(tmp_path / "a", "v1.13.9")
    second = image.write_image(tmp_path / "b", "1.13.9")
    assert first.sha256 == second.sha256 != image.write_image(tmp_path, "1.13.8").sha256
    packed = first.path.read_bytes()
    assert hashlib.sha256(packed).hexdigest() == first.sha256
    assert len(zstandard.ZstdDecompressor().decompress(packed)) == first.raw_size
    assert len(packed) > first.raw_size // 2, "progress would end before it began"


def test_a_damaged_file_is_written_again(tmp_path):
    made = image.write_image(tmp_path, "1.13.9")
    made.path.write_bytes(b"damaged")
    assert image.write_image(tmp_path, "1.13.9").path.read_bytes() != b"damaged"


async def test_the_site_file_describes_the_lab(tmp_path, spec):
    lab = Lab(tmp_path, spec(mixed=(4, 1, 1), hardware=("dell-r660",) * 5 + ("raspberry-pi-5",)), world=None)
    images = {arch: image.write_image(tmp_path, "1.13.9", arch) for arch in ("amd64", "arm64")}
    text = site_file(lab.info(), images=images, kubernetes="1.36.3")
    resolved = load_files({"site.yaml": text})
    fleet = resolved.fleet
    assert resolved.warnings == ()
    assert {name: node.role for name, node in fleet.nodes.items()} == {
        one.name: one.role for one in lab.members
    }
    assert {node.address for node in fleet.nodes.values()} == {one.address for one in lab.members}
    assert fleet.clusters["berlin"].endpoint == f"https://{lab.members[0].address}:6443"
    assert fleet.nodes["berlin-cp-1"].image.sha256 == images["amd64"].sha256
    assert fleet.nodes["lisbon-1"].image.sha256 == images["arm64"].sha256
