"""What travels with an image, and whether there is room to build it."""

from pathlib import Path

import pytest

from inventory.errors import OperatorError
from iso.build import image, payload, room
from iso.build.payload import Carried
from iso.qemu import members
from iso.render import packages


def archived(path: Path) -> dict[str, bytes]:
    """By the format's description: newc, eight hex digits a field."""
    data, at, found = path.read_bytes(), 0, {}
    while True:
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        at += (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = data[at : at + size]
        at += (size + 3) // 4 * 4


def test_files_travel_by_number_with_a_list_of_their_places(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"image" * 1000)
    (tmp_path / "b").write_bytes(b"manifest")
    items = [
        Carried(tmp_path / "a", "/srv/my image.zst"),
        Carried(tmp_path / "b", "/usr/lib/cto/images/b.yaml"),
    ]
    made = payload.write(tmp_path / "payload.img", items, epoch=7)
    found = archived(made)
    assert found["payload/list"] == b"0 /srv/my image.zst\n1 /usr/lib/cto/images/b.yaml\n"
    assert found["payload/0"] == b"image" * 1000
    assert found["payload/1"] == b"manifest"
    assert payload.write(tmp_path / "again", items, epoch=7).read_bytes() == made.read_bytes()


@pytest.mark.parametrize("place", ["srv/x", "/srv/../etc/shadow", "/srv/a\nb"])
def test_places_that_a_list_can_not_hold_are_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OperatorError, match="not a place"):
        payload.write(tmp_path / "p", [Carried(tmp_path / "a", place)], epoch=0)


def test_two_files_for_one_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    item = Carried(tmp_path / "a", "/srv/a")
    with pytest.raises(OperatorError, match="same place"):
        payload.write(tmp_path / "p", [item, item], epoch=0)


def test_a_build_that_would_fill_the_disk_is_refused_before_it_begins(tmp_path: Path) -> None:
    room.check(tmp_path / "cache", tmp_path / "x.iso", 0)
    with pytest.raises(OperatorError, match="MiB are free") as caught:
        room.check(tmp_path / "cache", tmp_path / "x.iso", 2**60)
    assert "--cache" in caught.value.fix


def test_a_disk_that_fills_up_all_the_same_is_said(tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OperatorError, match="the disk is full") as caught,
        room.told(tmp_path),
    ):
        full.write(b"x")
    assert caught.value.fix
    with pytest.raises(FileNotFoundError), room.told(tmp_path):
        (tmp_path / "none").read_bytes()


def test_memory_counts_what_travels_along(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    assert room.memory([]) == 2**30
    assert room.memory([Carried(tmp_path / "a", "/a")]) == 2**30 + 2000


def test_an_architecture_without_a_build_says_what_is_missing() -> None:
    image.check_arch("amd64")
    with pytest.raises(OperatorError, match="arm64 is not built yet; missing: its loaders") as caught:
        image.check_arch("arm64")
    assert caught.value.fix
    assert set(packages.MISSING) == set(packages.ARCHES)


def test_a_lab_of_virtual_machines_is_described_by_a_site_file_that_is_valid() -> None:
    from inventory.resolve import load_files

    for count, roles in ((1, "appliance"), (2, "controlplane worker"), (4, "controlplane " * 3 + "worker")):
        text = members.site_file(members.members(count), image={"talos": "1.13.9"}, kubernetes="1.36.3")
        nodes = load_files({"site.yaml": text}).fleet.nodes.values()
        assert [node.role for node in nodes] == roles.split()
        assert next(node.address for node in nodes) == "192.168.98.11"
    for count in (0, 41):
        with pytest.raises(OperatorError, match="not possible"):
            members.members(count)
