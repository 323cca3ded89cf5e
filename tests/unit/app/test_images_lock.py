"""The image lock over the real cache and real files."""

import asyncio
import hashlib
import random

import pytest
import zstandard

from controller.adapters.images import ImageCache
from controller.app.images_lock import LockedImages
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Image
from roles import schematic

URL = "https://factory.talos.dev/image/abc/v1.13.9/metal-amd64.raw.zst"


def image(folder, seed, name="metal-amd64.raw.zst"):
    raw = random.Random(seed).randbytes(3 << 20)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(zstandard.compress(raw))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def ensure(images, url, sha256=""):
    return asyncio.run(images.ensure(url, sha256, progress=lambda done, total: None))


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "usb"


@pytest.fixture
def locked(services, tmp_path, mirror):
    return LockedImages(ImageCache(tmp_path / "cache"), services.store, mirror=mirror)


def test_pinned_at_the_first_fetch_and_refused_when_it_changes(locked, store, mirror):
    _, digest = image(mirror / "image/abc/v1.13.9", 1)
    assert ensure(locked, URL).sha256 == digest == store.image_pin(URL)
    assert ensure(locked, URL).sha256 == digest
    _, changed = image(mirror / "image/abc/v1.13.9", 2)
    with pytest.raises(RefusedError, match="not the one that it was at first") as refused:
        ensure(locked, URL)
    assert "image.sha256" in refused.value.fix
    assert store.image_pin(URL) == digest
    assert ensure(locked, URL, changed).sha256 == changed == store.image_pin(URL)  # the site file wins


def test_a_wrong_hash_in_the_site_file_pins_nothing(locked, store, mirror):
    image(mirror / "image/abc/v1.13.9", 1)
    with pytest.raises(OperatorError, match="not the one that was asked for"):
        ensure(locked, URL, "0" * 64)
    assert store.image_pin(URL) == ""


def test_air_gap_names_the_file_that_is_missing(locked, mirror):
    with pytest.raises(OperatorError, match="no such file") as missing:
        ensure(locked, URL)
    assert missing.value.where == str(mirror / "image/abc/v1.13.9/metal-amd64.raw.zst")


def test_a_url_does_not_lead_out_of_the_folder(locked):
    with pytest.raises(OperatorError, match="out of the folder"):
        ensure(locked, "https://factory.talos.dev/image/%2e%2e/%2e%2e/x.raw.zst")


def test_local_files_stay_what_they_are(services, tmp_path, store):
    path, digest = image(tmp_path / "here", 3)
    locked = LockedImages(ImageCache(tmp_path / "cache"), store)
    assert ensure(locked, path.as_uri()).sha256 == digest == store.image_pin(path.as_uri())


def test_what_is_sent_is_what_was_fetched(locked, mirror):
    path, _ = image(mirror / "image/abc/v1.13.9", 1)

    async def read():
        found = await locked.ensure(URL, "", progress=lambda done, total: None)
        return b"".join([piece async for piece in locked.chunks(found)])

    assert asyncio.run(read()) == path.read_bytes()


def test_a_folder_of_the_site_file_is_used_like_the_factory(services, tmp_path, store):
    """`image.factory: file:///…`: fetched from where the factory's URLs say, held to what it was at first."""
    usb = tmp_path / "usb stick"
    wanted = Image("1.13.9", factory=usb.as_uri())
    url = schematic.image_url(wanted, "a" * 64, "amd64")
    locked = LockedImages(ImageCache(tmp_path / "cache"), services.store)
    with pytest.raises(OperatorError, match="no such image file") as missing:
        ensure(locked, url)
    assert "image.factory" in missing.value.fix
    path, digest = image(usb / f"image/{'a' * 64}/v1.13.9", 1)
    assert ensure(locked, url).path == str(path)
    assert store.image_pin(url) == digest
    image(path.parent, 2)
    with pytest.raises(RefusedError, match="not the one that it was at first"):
        ensure(locked, url)
