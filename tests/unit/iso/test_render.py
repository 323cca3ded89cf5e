"""What goes on the image, as values."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from iso.render import cpio, grub, modules, packages, sbom, site, units

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK7rjrcoOSNYN6z/5onoBSwkSJXHsr7LnjDgNf5fLaR0"
names = st.lists(st.from_regex(r"\A[a-z]{1,8}(/[a-z]{1,8}){0,2}\Z"), unique=True, max_size=6)


def unpacked(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Name → (mode, content), by the format's description and not by our writer."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        at += (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        assert name not in found
        found[name] = (mode, data[at : at + size])
        at += (size + 3) // 4 * 4


@given(names, st.binary(max_size=9))
def test_an_archive_holds_its_entries_after_their_folders(paths: list[str], content: bytes) -> None:
    paths = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    entries = [cpio.Entry(path, content, mode=0o600) for path in paths]
    found = unpacked(b"".join(cpio.archive(entries, mtime=7)))
    order = list(found)
    for path in paths:
        assert found[path] == (0o100600, content)
        for depth in range(1, path.count("/") + 1):
            parent = "/".join(path.split("/")[:depth])
            assert found[parent][0] == 0o40755
            assert order.index(parent) < order.index(path)


def test_large_contents_come_in_parts_and_links_are_links() -> None:
    entries = [cpio.Entry("big", chunks=[b"ab", b"cde"], size=5), cpio.Entry("bin/sh", link="busybox")]
    found = unpacked(b"".join(cpio.archive(entries, mtime=0)))
    assert found["big"][1] == b"abcde"
    assert found["bin/sh"] == (0o120777, b"busybox")


def test_the_site_layer_holds_keys_and_settings_and_is_the_same_each_time() -> None:
    layer = site.SiteLayer(authorized_keys=(KEY,), addresses=(site.StaticAddress("10.0.0.5/24", "10.0.0.1"),))
    site.check(layer)
    first = site.image(layer, mtime=9)
    assert first == site.image(layer, mtime=9)
    found = unpacked(gzip.decompress(first))
    assert found["site/etc/cto/authorized_keys"][1].decode() == f"{KEY}\n"
    assert json.loads(found["site/etc/cto/settings.json"][1])["node"] == ""
    text = found["site/etc/systemd/network/10-cto-static.network"][1].decode()
    assert "Address=10.0.0.5/24" in text
    assert "Gateway=10.0.0.1" in text
    assert not layer.secret


def test_the_image_of_one_node_is_a_secret_and_says_what_it_carries() -> None:
    layer = site.SiteLayer(authorized_keys=(KEY,), node="berlin-1", host_key=b"PRIVATE", countdown=5)
    site.check(layer)
    assert layer.secret
    assert "PRIVATE" not in repr(layer)
    found = unpacked(gzip.decompress(site.image(layer, mtime=0)))
    assert found["site/etc/cto/host_ed25519"] == (0o100600, b"PRIVATE")
    assert json.loads(found["site/etc/cto/settings.json"][1]) == {
        "node": "berlin-1",
        "site": "",
        "countdown": 5,
        "locked": False,
    }
    assert "host key of berlin-1" in "\n".join(site.contents(layer))


def test_an_image_that_enrols_is_a_secret_and_lists_what_is_in_it() -> None:
    enroll = site.Enrollment('{"token": "CTO1-SECRET"}', "K7Q2MZ4XAB", "worker", "2026-12-01T00:00:00Z")
    layer = site.SiteLayer(
        authorized_keys=(KEY,),
        site="berlin",
        site_file="kind: Site\n",
        enroll=enroll,
        pins={"https://factory.example/a.zst": "0" * 64},
    )
    site.check(layer)
    assert layer.secret
    assert layer.unattended
    assert "CTO1-SECRET" not in repr(layer)
    found = unpacked(gzip.decompress(site.image(layer, mtime=0)))
    assert found["site/etc/cto/enroll.json"] == (0o100600, b'{"token": "CTO1-SECRET"}')
    assert found["site/etc/cto/site.yaml"] == (0o100644, b"kind: Site\n")
    settings = json.loads(found["site/etc/cto/settings.json"][1])
    assert (settings["site"], settings["countdown"]) == ("berlin", 60)
    told = "\n".join(site.contents(layer))
    assert "token K7Q2MZ4XAB for one worker at berlin, good until 2026-12-01" in told
    assert "looked for by mDNS" in told
    assert "https://factory.example/a.zst" in told
    assert "CTO1-SECRET" not in told


def test_an_image_with_a_site_file_and_no_token_is_no_secret() -> None:
    layer = site.SiteLayer(authorized_keys=(KEY,), site="berlin", site_file="kind: Site\n")
    assert not layer.secret
    assert not layer.unattended
    assert json.loads(site.files(layer)["etc/cto/settings.json"])["countdown"] == 0


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (site.SiteLayer(), "no key is let in"),
        (site.SiteLayer(authorized_keys=("ssh-dss AAAA",)), "unknown key type"),
        (site.SiteLayer(authorized_keys=(KEY,), serial="tty1; rm"), "no serial port"),
        (
            site.SiteLayer(authorized_keys=(KEY,), addresses=(site.StaticAddress("10.0.0.5"),)),
            "prefix length",
        ),
        (site.SiteLayer(authorized_keys=(KEY,), addresses=(site.StaticAddress("10.0.0/24"),)), "10.0.0/24"),
        (
            site.SiteLayer(
                authorized_keys=(KEY,), addresses=(site.StaticAddress("10.0.0.5/24", "10.1.0.1"),)
            ),
            "not in 10.0.0.0/24",
        ),
        (
            site.SiteLayer(
                authorized_keys=(KEY,), addresses=(site.StaticAddress("10.0.0.5/24", mac="x\ny"),)
            ),
            "no MAC address",
        ),
    ],
)
def test_what_would_make_a_useless_image_is_refused(layer: site.SiteLayer, says: str) -> None:
    with pytest.raises(OperatorError, match=says) as caught:
        site.check(layer)
    assert caught.value.fix


def test_the_menu_names_the_files_that_are_on_the_image_and_the_serial_port() -> None:
    text = grub.menu(site.SiteLayer(serial="ttyS1"))
    assert "console=ttyS1,115200 console=tty0" in text
    assert "serial --unit=1" in text
    assert "linux /boot/amd64/vmlinuz " in text
    assert "initrd /boot/amd64/base.img /boot/amd64/product.img /boot/site.img" in text
    carrying = grub.menu(site.SiteLayer(), payload=True)
    assert "/boot/amd64/product.img /boot/payload.img /boot/site.img" in carrying


def test_modules_that_are_needed_by_kept_ones_stay() -> None:
    text = (
        "kernel/drivers/net/ethernet/intel/ixgbe/ixgbe.ko: kernel/drivers/gpu/needed.ko\n"
        "kernel/drivers/gpu/needed.ko:\nkernel/drivers/gpu/other.ko:\nkernel/fs/xfs/xfs.ko:\n"
    )
    kept = modules.kept(modules.parse_dependencies(text))
    assert {Path(name).name for name in kept} == {"ixgbe.ko", "needed.ko", "xfs.ko"}


def test_modules_are_loaded_after_what_they_need() -> None:
    order = modules.load_order({"a": ("b", "c"), "b": ("c",), "c": ()}, ["a", "c"])
    assert order == ("c", "b", "a")


def test_no_folder_of_modules_is_dropped_that_a_server_boots_or_connects_by() -> None:
    needed = (
        "drivers/net/ethernet/",
        "drivers/scsi/",
        "drivers/nvme/",
        "drivers/ata/",
        "drivers/usb/storage/",
    )
    assert not [folder for folder in modules.DROPPED if any(name.startswith(folder) for name in needed)]


def test_firmware_is_only_there_when_asked_for() -> None:
    assert not [name for name in packages.names() if name.startswith("firmware-")]
    assert [name for name in packages.names(firmware=True) if name.startswith("firmware-")]
    assert packages.components() == ("main",)


def test_the_sbom_lists_what_is_installed() -> None:
    status = (
        "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\nDescription: x\n more: y\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n"
    )
    components = [*sbom.parse_dpkg(status), sbom.Component("pypi", "Click", "8.1")]
    text = sbom.document(components, product="p", version="1", epoch=0)
    assert text == sbom.document(list(reversed(components)), product="p", version="1", epoch=0)
    rows = json.loads(text)["components"]
    assert [row["purl"] for row in rows] == [
        "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=bookworm",
        "pkg:pypi/click@8.1",
    ]


def test_no_unit_is_both_started_and_masked() -> None:
    started = {name for unit in units.ENABLED.values() for name in unit}
    assert not started & set(units.MASKED)
