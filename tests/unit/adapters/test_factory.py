"""Images of schematics that the factory was not told of yet, against a server that behaves like one."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from controller.adapters.images import ImageCache
from controller.app.images_lock import LockedImages
from controller.wiring import open_services
from inventory.errors import OperatorError, TransportError
from inventory.fleet import Image
from roles import schematic

IMAGE = zstandard.ZstdCompressor().compress(bytes(3 * 1024 * 1024))
SHA256 = hashlib.sha256(IMAGE).hexdigest()
CHOSEN = schematic.predict(["siderolabs/iscsi-tools"])


class Factory:
    """Serves images of the ids it knows; knows an id once its document was posted."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.posted: list[str] = []
        self.status, self.answer = 201, b""
        factory = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                there = self.path.split("/")[2] in factory.known
                self.reply(200 if there else 404, IMAGE if there else b"unknown schematic")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != "/schematics":
                    self.reply(404, b"")
                    return
                factory.posted.append(body.decode())
                given = hashlib.sha256(body).hexdigest()
                if factory.status == 201:
                    factory.known.add(given)
                self.reply(factory.status, factory.answer or json.dumps({"id": given}).encode())

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def url(self, schematic_id: str = CHOSEN.id) -> str:
        image = Image(talos="1.13.9", factory=f"http://127.0.0.1:{self.server.server_address[1]}")
        return schematic.image_url(image, schematic_id, "amd64")


@pytest.fixture
def factory() -> Iterator[Factory]:
    made = Factory()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "images")


async def test_a_factory_is_told_a_schematic_it_does_not_know(factory: Factory, cache: ImageCache) -> None:
    assert (await cache.ensure(factory.url(), SHA256, schematic=CHOSEN.document)).sha256 == SHA256
    assert factory.posted == [CHOSEN.document]


async def test_a_known_schematic_is_not_posted(factory: Factory, cache: ImageCache) -> None:
    factory.known.add(CHOSEN.id)
    await cache.ensure(factory.url(), SHA256, schematic=CHOSEN.document)
    assert factory.posted == []


async def test_without_a_document_the_404_stands(factory: Factory, cache: ImageCache) -> None:
    with pytest.raises(TransportError, match="404"):
        await cache.ensure(factory.url(), SHA256)
    assert factory.posted == []


async def test_another_id_than_the_predicted_is_an_error(
    factory: Factory, cache: ImageCache, tmp_path: Path
) -> None:
    factory.answer = json.dumps({"id": "a" * 64}).encode()
    with pytest.raises(OperatorError) as caught:
        await cache.ensure(factory.url(), SHA256, schematic=CHOSEN.document)
    assert "a" * 64 in caught.value.what
    assert CHOSEN.id in caught.value.what
    assert list((tmp_path / "images").iterdir()) == []


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (500, b"", "did not take the schematic: it answered 500"),
        (400, b"bad", "did not take the schematic: it answered 400"),
        (201, b"<html>", "has no schematic id"),
        (201, b"[]", "has no schematic id"),
        (201, b'{"id": 3}', "has no schematic id"),
    ],
)
async def test_a_post_that_fails_says_so(
    factory: Factory, cache: ImageCache, status: int, answer: bytes, said: str
) -> None:
    factory.status, factory.answer = status, answer
    with pytest.raises(TransportError, match=said) as caught:
        await cache.ensure(factory.url(), SHA256, schematic=CHOSEN.document)
    assert "/schematics" in str(caught.value.where)
    assert "image.factory" in str(caught.value.fix)


async def test_the_image_lock_hands_the_document_on(
    factory: Factory, cache: ImageCache, tmp_path: Path
) -> None:
    with open_services(tmp_path / "home") as services:
        locked = LockedImages(cache, services.store)
        await locked.ensure(
            factory.url(), SHA256, progress=lambda _done, _total: None, schematic=CHOSEN.document
        )
        assert services.store.image_pin(factory.url()) == SHA256
    assert factory.posted == [CHOSEN.document]
