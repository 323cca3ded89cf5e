"""The image cache: what it accepts, how it resumes, what it refuses."""

import asyncio
import hashlib
import http.server
import lzma
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from controller.adapters import download, images
from controller.adapters.images import ImageCache
from controller.app.ports import CachedImage
from inventory.errors import OperatorError, TransportError

MIB = 1024 * 1024
RAW = random.Random("image").randbytes(64 * 1024) * 33 + b"the end"


def packed(raw: bytes = RAW) -> bytes:
    return zstandard.ZstdCompressor().compress(raw)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Mirror:
    """A web server with one file; `break_after`: bytes after which it drops the connection, once."""

    def __init__(self, body: bytes) -> None:
        self.body, self.break_after, self.ranges = body, 0, [""]
        self.ranges.clear()
        self.status = 0
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/image.raw.zst"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.ranges.append(wanted)
        if self.status:
            request.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted and start >= len(self.body):
            request.send_error(416)
            return
        body = self.body[start:]
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        cut, self.break_after = self.break_after, 0
        request.wfile.write(body[:cut] if cut else body)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror(packed())
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "images")


def right(image: CachedImage) -> bool:
    return (
        image.raw_size == len(RAW)
        and image.first_mib == RAW[:MIB]
        and image.body_sha256 == sha(RAW[MIB:])
        and zstandard.ZstdDecompressor().stream_reader(Path(image.path).read_bytes()).read() == RAW
        and image.compressed_size == Path(image.path).stat().st_size
    )


@pytest.mark.parametrize("form", ["path", "file"])
async def test_a_local_zstd_file_is_used_where_it_is(cache: ImageCache, tmp_path: Path, form: str) -> None:
    source = tmp_path / "talos image.raw.zst"
    source.write_bytes(packed())
    image = await cache.ensure(str(source) if form == "path" else source.as_uri(), sha(packed()))
    assert right(image)
    assert image.path == str(source)


@pytest.mark.parametrize(("name", "pack"), [("a.raw", bytes), ("a.raw.xz", lzma.compress)])
async def test_other_packings_are_turned_into_zstd_once(cache, tmp_path: Path, name: str, pack: Any) -> None:
    source = tmp_path / name
    source.write_bytes(pack(RAW))
    image = await cache.ensure(str(source), sha(source.read_bytes()))
    assert right(image)
    assert image.sha256 == sha(source.read_bytes())
    made = Path(image.path).stat().st_mtime_ns
    assert Path((await cache.ensure(str(source))).path).stat().st_mtime_ns == made
    assert b"".join([piece async for piece in cache.chunks(image)]) == Path(image.path).read_bytes()


async def test_a_fetched_image_is_fetched_once(cache: ImageCache, mirror: Mirror) -> None:
    seen: list[tuple[int, int]] = []
    image = await cache.ensure(mirror.url, sha(packed()), progress=lambda d, t: seen.append((d, t)))
    await asyncio.sleep(0)
    assert right(image)
    assert seen[-1] == (len(packed()), len(packed()))
    assert await cache.ensure(mirror.url, sha(packed())) == image
    assert len(mirror.ranges) == 1


async def test_those_who_ask_together_share_one_download(cache: ImageCache, mirror: Mirror) -> None:
    found = await asyncio.gather(*(cache.ensure(mirror.url, sha(packed())) for _ in range(5)))
    assert all(right(image) for image in found)
    assert len(mirror.ranges) == 1


async def test_a_broken_download_goes_on_where_it_broke(cache: ImageCache, mirror: Mirror) -> None:
    mirror.break_after = 500
    assert right(await cache.ensure(mirror.url, sha(packed())))
    assert mirror.ranges == ["", "bytes=500-"]


async def test_a_part_that_is_the_whole_file_is_enough(
    cache: ImageCache, mirror: Mirror, tmp_path: Path
) -> None:
    await cache.ensure(mirror.url, sha(packed()))
    (fetched,) = (tmp_path / "images").glob("*.raw.zst")
    fetched.rename(fetched.with_name(fetched.name + ".part"))
    assert right(await cache.ensure(mirror.url, sha(packed())))


async def test_a_wrong_hash_is_refused_and_the_copy_removed(cache, mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="not the one that was asked for") as caught:
        await cache.ensure(mirror.url, "0" * 64)
    assert sha(packed()) in str(caught.value)
    assert not list((tmp_path / "images").iterdir())


async def test_a_local_file_with_a_wrong_hash_is_refused_but_kept(cache, tmp_path: Path) -> None:
    source = tmp_path / "a.raw.zst"
    source.write_bytes(packed())
    with pytest.raises(OperatorError):
        await cache.ensure(str(source), "0" * 64)
    assert source.exists()


async def test_plain_http_needs_a_hash(cache: ImageCache, mirror: Mirror) -> None:
    with pytest.raises(OperatorError, match="SHA-256"):
        await cache.ensure(mirror.url)
    assert mirror.ranges == []


@pytest.mark.parametrize(("status", "times"), [(404, 1), (403, 1), (503, 3)])
async def test_server_errors_say_what_came(cache, mirror: Mirror, status: int, times: int) -> None:
    mirror.status = status
    with pytest.raises(TransportError, match=str(status)):
        await cache.ensure(mirror.url, sha(packed()))
    assert len(mirror.ranges) == times


def test_a_file_without_end_is_cut_off(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="larger than 100"):
        download.fetch(mirror.url, tmp_path / "x", "0" * 64, lambda _d, _t: None, limit=100)


async def test_what_unpacks_without_end_is_refused(cache, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(images, "MAX_RAW_BYTES", 2 * MIB)
    (tmp_path / "bomb.zst").write_bytes(packed(bytes(50 * MIB)))
    with pytest.raises(OperatorError, match="unpacks to over"):
        await cache.ensure(str(tmp_path / "bomb.zst"))


@pytest.mark.parametrize(
    "data", [b"", b"short", packed(b"tiny"), packed()[:-40], b"\x28\xb5\x2f\xfdgarbage" * 99]
)
async def test_damaged_images_are_refused(cache: ImageCache, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(OperatorError):
        await cache.ensure(str(tmp_path / "bad"))


@pytest.mark.parametrize("url", ["ftp://x/y", "/nowhere/image.raw.zst", "file://host/x"])
async def test_what_can_not_be_fetched_says_so(cache: ImageCache, url: str) -> None:
    with pytest.raises(OperatorError):
        await cache.ensure(url)


async def test_a_changed_file_is_described_anew(cache: ImageCache, tmp_path: Path) -> None:
    source = tmp_path / "a.raw"
    source.write_bytes(RAW)
    await cache.ensure(str(source))
    source.write_bytes(RAW + RAW)
    assert (await cache.ensure(str(source))).raw_size == 2 * len(RAW)


async def test_a_damaged_record_is_made_again(cache: ImageCache, tmp_path: Path) -> None:
    source = tmp_path / "a.raw.zst"
    source.write_bytes(packed())
    await cache.ensure(str(source))
    (record,) = (tmp_path / "images").glob("*.json")
    for text in ("", "[]", '{"source": [1]}', '{"source": [1, 2], "other": 3}'):
        record.write_text(text)
        assert right(await cache.ensure(str(source)))


async def test_the_bytes_are_hashed_again_while_they_are_sent(cache: ImageCache, tmp_path: Path) -> None:
    source = tmp_path / "a.raw.zst"
    source.write_bytes(packed())
    image = await cache.ensure(str(source))
    assert b"".join([piece async for piece in cache.chunks(image, 100_000)]) == packed()
    source.write_bytes(packed()[:-1] + b"x")
    with pytest.raises(OperatorError, match="changed while it was sent"):
        [piece async for piece in cache.chunks(image)]
