"""Schematic ids against those the factory answers; names of images and installers."""

from pathlib import Path

import pytest
import yaml

from facts.hardware import Overlay, load_profiles
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Delivery, Image, Node
from roles import schematic

ID = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"


def node(image: Image, method: str = "metal-iso", **settings: bool) -> Node:
    return Node("kn-1", "kn", "kn", "worker", image=image, delivery=Delivery(method), settings=settings)


def test_ids_are_the_factory_s(role_fixtures: Path) -> None:
    rows = yaml.safe_load((role_fixtures / "schematics.yaml").read_text())
    assert len(rows) >= 3
    for row in rows:
        overlay = Overlay(**row["overlay"]) if "overlay" in row else None
        assert (
            schematic.predict(row.get("extensions", ()), row.get("kernel_args", ()), overlay).id == row["id"]
        )


def test_the_whole_document() -> None:
    text = schematic.document(("siderolabs/iscsi-tools",), ("talos.config=metal-iso", "console=ttyS0,115200"))
    assert text == (
        "customization:\n"
        "    extraKernelArgs:\n"
        "        - talos.config=metal-iso\n"
        "        - console=ttyS0,115200\n"
        "    systemExtensions:\n"
        "        officialExtensions:\n"
        "            - siderolabs/iscsi-tools\n"
    )


def test_order_of_extensions_matters() -> None:
    assert (
        schematic.predict(("siderolabs/a", "siderolabs/b")).id
        != schematic.predict(("siderolabs/b", "siderolabs/a")).id
    )


@pytest.mark.parametrize(
    "text", ["true", "No", "1.5", "a: b", "a #b", "'x'", "", "- x", "*x", "ends:", "null", "~"]
)
def test_what_needs_quotes_is_not_predicted(text: str) -> None:
    with pytest.raises(RefusedError, match="can't be predicted"):
        schematic.document((), (text,))


def test_a_node_s_schematic() -> None:
    profile = next(profile for profile in load_profiles() if profile.extensions)
    made = schematic.for_node(
        node(Image("1.13.9", extensions=("siderolabs/x", profile.extensions[0])), longhorn=True), profile
    )
    assert made.extensions[:4] == (
        "siderolabs/x",
        profile.extensions[0],
        "siderolabs/iscsi-tools",
        "siderolabs/util-linux-tools",
    )
    assert len(set(made.extensions)) == len(made.extensions)
    assert made.kernel_args[0] == "talos.config=metal-iso"
    assert schematic.for_node(node(Image("1.13.9"), "state")).id == ID


def test_a_given_id_is_taken() -> None:
    assert schematic.for_node(node(Image("1.13.9", schematic=ID))) == schematic.Schematic(ID)
    with pytest.raises(OperatorError, match="no schematic id"):
        schematic.for_node(node(Image("1.13.9", schematic="latest")))


def test_every_profile_can_be_predicted() -> None:
    for profile in load_profiles():
        assert len(schematic.for_node(node(Image("1.13.9")), profile).id) == 64


def test_references() -> None:
    image, mirror = Image("1.13.9"), Image("1.13.9", factory="https://mirror.example:8443/talos/")
    assert schematic.installer_reference(image, ID) == f"factory.talos.dev/metal-installer/{ID}:v1.13.9"
    assert (
        schematic.installer_reference(mirror, ID) == f"mirror.example:8443/talos/metal-installer/{ID}:v1.13.9"
    )
    assert (
        schematic.image_url(image, ID, "arm64")
        == f"https://factory.talos.dev/image/{ID}/v1.13.9/metal-arm64.raw.zst"
    )
    assert schematic.image_url(Image("1.13.9", url="file:///a.raw.zst"), ID, "amd64") == "file:///a.raw.zst"
    with pytest.raises(OperatorError, match="is no factory"):
        schematic.installer_reference(Image("1.13.9", factory="factory.talos.dev"), ID)


@pytest.mark.parametrize("factory", ["file:///mnt/usb", "file:///mnt/usb/", "/mnt/usb"])
def test_a_folder_is_a_factory_of_images_but_no_registry(factory: str) -> None:
    image = Image("1.13.9", factory=factory)
    url = schematic.image_url(image, ID, "amd64")
    assert url == f"{factory.rstrip('/')}/image/{ID}/v1.13.9/metal-amd64.raw.zst"
    assert schematic.installer_reference(image, ID).startswith("factory.talos.dev/metal-installer/")


def test_an_upgrade_keeps_the_schematic() -> None:
    for old, new in (("1.13.9", "1.14.1"), ("1.9.0", "1.10.0"), ("1.8.0", "1.9.0")):
        for factory in ("https://factory.talos.dev", "https://mirror.example:8443/talos"):
            installed = schematic.installer_reference(Image(old, factory=factory), ID)
            wanted = schematic.installer_reference(Image(new, factory=factory), ID)
            assert schematic.upgraded(installed, new) == wanted
    node_now, node_next = node(Image("1.13.9"), longhorn=True), node(Image("1.14.1"), longhorn=True)
    assert schematic.for_node(node_now).id == schematic.for_node(node_next).id


def test_an_upgrade_keeps_secure_boot_and_forgets_the_digest() -> None:
    reference = f"f.example/metal-installer-secureboot/{ID}:v1.13.9@sha256:{'0' * 64}"
    assert schematic.upgraded(reference, "1.14.1") == f"f.example/metal-installer-secureboot/{ID}:v1.14.1"


@pytest.mark.parametrize(
    "reference", ["", "ghcr.io/siderolabs/installer:v1.13.9", f"f.example/x/{ID}:v1.13.9"]
)
def test_an_upgrade_without_a_schematic_is_refused(reference: str) -> None:
    with pytest.raises(RefusedError, match="would drop the system extensions"):
        schematic.upgraded(reference, "1.14.1")
