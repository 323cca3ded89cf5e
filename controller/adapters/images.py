"""The image cache: fetched once, checked, and described well enough to be written and proved on a disk.

Whatever the source is (raw, xz, zstd), `CachedImage.path` is zstd: the one thing a node must be able to
unpack. Nothing is trusted by its name: `chunks` hashes the bytes again while they are sent. Signatures of
releases are not checked here; the SHA-256 comes from a place that was.
"""

import asyncio
import hashlib
import json
import lzma
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import zstandard

from controller.adapters.download import MAX_BYTES, fetch
from controller.adapters.factory import fetch_known
from controller.app.plain_files import file_sha256
from controller.app.ports import CachedImage
from inventory.errors import OperatorError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Record:
    """What is kept beside the file, so that unpacking gigabytes happens once."""

    source: tuple[int, int]  # size and mtime_ns of the fetched file
    sha256: str
    wire: str  # file name in the cache, or the absolute path of a local source
    wire_sha256: str
    wire_size: int
    raw_size: int
    body_sha256: str
    first_sha256: str


class ImageCache:
    """Images under one folder. Local files are used where they are and never removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}
        self._wire_hashes: dict[str, str] = {}  # by path, of the images that were handed out

    async def ensure(
        self,
        url: str,
        sha256: str = "",
        *,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        schematic: str = "",
    ) -> CachedImage:
        """The image of `url` (https://, http:// with a hash, file:// or a path); fetched if need be.

        `progress(done, total)` while bytes come in. An empty `sha256` accepts what comes: the caller records
        `CachedImage.sha256` and demands it from then on. Those who ask for one image together share the
        work. A factory that doesn't know the image is told the document `schematic`.
        """
        loop = asyncio.get_running_loop()

        def report(done: int, total: int) -> None:
            loop.call_soon_threadsafe(progress, done, total)

        async with self._locks.setdefault(url, asyncio.Lock()):
            return await asyncio.to_thread(self._ensure, url, sha256.lower(), report, schematic)

    async def chunks(self, image: CachedImage, size: int = MIB) -> AsyncGenerator[bytes, None]:
        """The compressed bytes, hashed again on their way; raises at the end if the file changed."""
        digest = hashlib.sha256()
        with await asyncio.to_thread(Path(image.path).open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, size):
                digest.update(piece)
                yield piece
        if digest.hexdigest() != self._wire_hashes.get(image.path):
            fix = "run the command again"
            raise OperatorError("the image changed while it was sent", where=image.path, fix=fix)

    def _ensure(
        self, url: str, sha256: str, report: Callable[[int, int], None], schematic: str
    ) -> CachedImage:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        local = local_path(url)
        name = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{Path(urlsplit(url).path).name}"
        source = local or self._folder / name
        if not source.exists():
            if local:
                fix = "put the file there, or correct image.url or image.factory in the site file"
                raise OperatorError("there is no such image file", where=str(source), fix=fix)
            fetch_known(lambda: fetch(url, source, sha256, report), url, schematic)
        record = self._record(source, name)
        if sha256 and record.sha256 != sha256:
            if not local:
                self._forget(source, name)
            raise OperatorError(
                f"the image is not the one that was asked for: SHA-256 {record.sha256}, wanted {sha256}",
                where=url,
                fix="check image.sha256 in the site file and the mirror; the fetched copy was removed"
                if not local
                else "check image.sha256 in the site file, or replace the file",
            )
        return self._open(record, name)

    def _record(self, source: Path, name: str) -> _Record:
        info = source.stat()
        stamp = (info.st_size, info.st_mtime_ns)
        sidecar = self._folder / f"{name}.json"
        if sidecar.exists():
            known = _load(sidecar)
            if known is not None and known.source == stamp and self._wire(known).exists():
                return known
        record = self._describe(source, stamp, name)
        write_atomically(sidecar, json.dumps(asdict(record), indent=1).encode())
        return record

    def _describe(self, source: Path, stamp: tuple[int, int], name: str) -> _Record:
        kind = _kind(source)
        wire = source if kind == "zst" else self._folder / f"{name}.wire.zst"
        if wire != source:
            _recompress(source, wire)
        figures = _Figures()
        for piece in _unpacked(wire, "zst"):
            figures.add(piece)
        if figures.size < 2 * MIB:
            fix = "give the raw disk image of Talos (metal-amd64.raw.zst)"
            raise OperatorError("too short for a disk image", where=str(source), fix=fix)
        return _Record(
            source=stamp,
            sha256=file_sha256(source),
            wire=str(wire) if wire == source and source.parent != self._folder else wire.name,
            wire_sha256=file_sha256(wire),
            wire_size=wire.stat().st_size,
            raw_size=figures.size,
            body_sha256=figures.body.hexdigest(),
            first_sha256=hashlib.sha256(figures.first).hexdigest(),
        )

    def _open(self, record: _Record, name: str) -> CachedImage:
        path = self._wire(record)
        first = b""
        for piece in _unpacked(path, "zst"):
            first += piece
            if len(first) >= MIB:
                break
        first = first[:MIB]
        if hashlib.sha256(first).hexdigest() != record.first_sha256:
            (self._folder / f"{name}.json").unlink(missing_ok=True)
            raise OperatorError(
                "the image changed since it was read", where=str(path), fix="run the command again"
            )
        self._wire_hashes[str(path)] = record.wire_sha256
        return CachedImage(
            path=str(path),
            sha256=record.sha256,
            compressed_size=record.wire_size,
            raw_size=record.raw_size,
            body_sha256=record.body_sha256,
            first_mib=first,
        )

    def _wire(self, record: _Record) -> Path:
        return self._folder / record.wire  # an absolute path stays what it is

    def _forget(self, source: Path, name: str) -> None:
        for path in (source, self._folder / f"{name}.json", self._folder / f"{name}.wire.zst"):
            path.unlink(missing_ok=True)


def local_path(url: str) -> Path | None:
    """The file that `url` names if it is a path or file:// URL."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if "://" in url:
        raise OperatorError(f"{url!r} can't be fetched", fix="use https://, file:// or a path")
    return Path(url).expanduser().absolute()


class _Figures:
    """Size, first MiB, and the hash of all after it, over a stream of pieces."""

    def __init__(self) -> None:
        self.first = b""
        self.size = 0
        self.body = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        room = MIB - len(self.first)
        if room > 0:
            self.first += piece[:room]
        self.body.update(memoryview(piece)[max(room, 0) :])
        self.size += len(piece)


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        magic = file.read(6)
    return "zst" if magic[:4] == b"\x28\xb5\x2f\xfd" else "xz" if magic == b"\xfd7zXZ\x00" else "raw"


def _unpacked(path: Path, kind: str) -> Iterator[bytes]:
    total = 0
    try:
        with path.open("rb") as file:
            for piece in _UNPACKERS[kind](file):
                total += len(piece)
                if total > MAX_RAW_BYTES:
                    raise OperatorError(
                        f"unpacks to over {MAX_RAW_BYTES} bytes", where=str(path), fix=_DAMAGED
                    )
                yield piece
    except (zstandard.ZstdError, lzma.LZMAError, EOFError) as error:
        raise OperatorError(f"the image can't be unpacked: {error}", where=str(path), fix=_DAMAGED) from error


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(MIB):
        yield piece


def _xz(file: BinaryIO) -> Iterator[bytes]:
    with lzma.LZMAFile(file) as stream:
        while piece := stream.read(MIB):
            yield piece


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    """Unlike the library's stream reader, this notices a file that was cut short.

    It unpacks all that it is given at once; 1 KiB of zeros can become 32 MiB, hence the small bites.
    """
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    while data := file.read(1024):
        while data:
            if unpacker.eof:
                unpacker = zstandard.ZstdDecompressor().decompressobj()
            yield unpacker.decompress(data)
            data = unpacker.unused_data
    if not unpacker.eof:
        raise EOFError("it was cut short")


_UNPACKERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {"raw": _plain, "xz": _xz, "zst": _zstd}


def _recompress(source: Path, wire: Path) -> None:
    temporary = wire.with_suffix(".part")
    with temporary.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as writer:
        for piece in _unpacked(source, _kind(source)):
            writer.write(piece)
    temporary.replace(wire)


def write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_bytes(data)
    temporary.replace(path)


def _load(sidecar: Path) -> _Record | None:
    """None for a file of another version of this program, or a damaged one: it is made again."""
    try:
        data = json.loads(sidecar.read_bytes())
        size, mtime = data.pop("source")
        return _Record(source=(int(size), int(mtime)), **data)
    except (ValueError, TypeError, KeyError):
        return None


MAX_RAW_BYTES = 64 * MAX_BYTES
_DAMAGED = "fetch it again, or correct image.url: raw, .raw.zst and .raw.xz disk images are understood"
