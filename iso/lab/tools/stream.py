"""Bytes in bulk: dd, zstd and gzip as filters, checksums. Everything streams; nothing is held whole."""

import gzip
import hashlib
import lzma
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import zstandard

from iso.lab.shell.call import Call, Tool, UsageError, options
from iso.lab.shell.files import Device, DeviceReader, DeviceWriter, Dir, File, Link, problem
from iso.lab.shell.streams import CHUNK, Reader, Writer, chunks
from iso.lab.tools.text import size_of

_DD_FLAGS = {
    "fullblock",
    "skip_bytes",
    "count_bytes",
    "seek_bytes",
    "direct",
    "sync",
    "dsync",
    "append",
    "nonblock",
}
_DD_CONVERSIONS = {"notrunc", "fsync", "fdatasync", "sparse", "noerror", "sync", "nocreat"}


@dataclass(frozen=True, slots=True)
class _Dd:
    """dd's operands, in bytes."""

    source: str
    target: str
    block: int
    count: int | None  # blocks, or bytes with count_bytes
    count_is_bytes: bool
    skip: int
    seek: int
    full_blocks: bool
    truncates: bool
    flushes: bool
    quiet: bool

    @classmethod
    def parse(cls, args: list[str]) -> "_Dd":
        values = dict(arg.partition("=")[::2] for arg in args)
        unknown = set(values) - {
            "if",
            "of",
            "bs",
            "ibs",
            "obs",
            "count",
            "skip",
            "seek",
            "iflag",
            "oflag",
            "conv",
            "status",
        }
        if unknown:
            raise UsageError(f"unrecognized operand '{min(unknown)}'")
        flags = {flag for name in ("iflag", "oflag") for flag in values.get(name, "").split(",") if flag}
        conversions = {word for word in values.get("conv", "").split(",") if word}
        if (flags - _DD_FLAGS) or (conversions - _DD_CONVERSIONS):
            raise UsageError(
                f"invalid flag: {', '.join(sorted((flags - _DD_FLAGS) | (conversions - _DD_CONVERSIONS)))}"
            )
        block = size_of(values.get("bs") or values.get("ibs") or "512")
        skip, seek = size_of(values.get("skip", "0")), size_of(values.get("seek", "0"))
        return cls(
            source=values.get("if", ""),
            target=values.get("of", ""),
            block=block,
            count=size_of(values["count"]) if "count" in values else None,
            count_is_bytes="count_bytes" in flags,
            skip=skip if "skip_bytes" in flags else skip * block,
            seek=seek if "seek_bytes" in flags else seek * block,
            full_blocks="fullblock" in flags,
            truncates="notrunc" not in conversions,
            flushes=bool({"fsync", "fdatasync"} & conversions or {"sync", "dsync"} & flags),
            quiet=values.get("status") == "none",
        )


async def dd(call: Call) -> int:
    job = _Dd.parse(call.args)
    reader = await _source(call, job)
    writer = _target(call, job)
    full = partial = total = 0
    try:
        async for block in _blocks(reader, job):
            await writer.write(block)
            total += len(block)
            full, partial = full + (len(block) == job.block), partial + (len(block) != job.block)
        if job.flushes and isinstance(writer, DeviceWriter):
            writer.device.flush()
    finally:
        if isinstance(writer, (DeviceWriter, _FileAt)):
            writer.close()
    if not job.quiet:
        lines = f"{full}+{partial} records in\n{full}+{partial} records out\n{total} bytes copied\n"
        await call.err.write(lines.encode())
    return 0


async def _blocks(reader: Reader, job: _Dd) -> AsyncIterator[bytes]:
    """Blocks of at most `bs`; a short read of a pipe is a block of its own, unless iflag=fullblock."""
    left = job.count
    while left is None or left > 0:
        wanted = min(job.block, left) if left is not None and job.count_is_bytes else job.block
        block = await reader.read(wanted)
        while (
            job.full_blocks
            and block
            and len(block) < wanted
            and (more := await reader.read(wanted - len(block)))
        ):
            block += more
        if not block:
            return
        yield block
        if left is not None:
            left -= len(block) if job.count_is_bytes else 1


async def _source(call: Call, job: _Dd) -> Reader:
    if job.source:
        node = call.files.get(call.path(job.source))
        if not isinstance(node, (File, Dir, Link)):
            return DeviceReader(node, job.skip)
    reader = call.files.reader(call.path(job.source)) if job.source else call.stdin
    left = job.skip
    while left and (chunk := await reader.read(min(left, CHUNK))):
        left -= len(chunk)
    return reader


def _target(call: Call, job: _Dd) -> Writer:
    if not job.target:
        return call.out
    path = call.path(job.target)
    node = call.files.find(path)
    if node is None:
        call.files.writer(path, now=call.host.now())
        node = call.files.get(path)
    if isinstance(node, Dir):
        raise problem(21, job.target)
    if isinstance(node, File):
        return _FileAt(node, job.seek, truncates=job.truncates)
    if isinstance(node, Link):
        raise problem(40, job.target)
    device: Device = node
    return DeviceWriter(device, job.seek)


class _FileAt:
    """Writes into a file of the tree from a position on."""

    def __init__(self, file: File, offset: int, *, truncates: bool) -> None:
        self._file, self._offset = file, offset
        if truncates:
            file.data = file.data[:offset]

    async def write(self, data: bytes) -> None:
        old = self._file.data.ljust(self._offset, b"\0")
        self._file.data = old[: self._offset] + data + old[self._offset + len(data) :]
        self._offset += len(data)

    def close(self) -> None: ...


# Compressed bytes taken at once: a few of them may stand for a thousand times as many.
_SLICE = 4096


async def _decompress(call: Call, new: Any, names: list[str], errors: tuple[type[Exception], ...]) -> int:
    """Any number of frames, one after the other."""
    decompressor, started = new(), False
    try:
        async for chunk in call.inputs(names):
            for start in range(0, len(chunk), _SLICE):
                data = chunk[start : start + _SLICE]
                while data:
                    if decompressor.eof:
                        decompressor = new()
                    started = True
                    output = decompressor.decompress(data)
                    for at in range(0, len(output), CHUNK):
                        await call.out.write(output[at : at + CHUNK])
                    data = decompressor.unused_data if decompressor.eof else b""
    except errors as error:
        return await call.fail(f"/*stdin*\\: decoding error: {error}")
    if started and not decompressor.eof:
        return await call.fail("/*stdin*\\: premature end: the input was cut off")
    return 0


async def zstd(call: Call) -> int:
    found, names = options(call.args, "dcqfkT0123456789", "")
    if "d" not in found and call.name != "zstdcat":
        compressor = zstandard.ZstdCompressor(level=3).compressobj()
        async for chunk in call.inputs(names):
            await call.out.write(compressor.compress(chunk))
        await call.out.write(compressor.flush())
        return 0
    return await _decompress(
        call, lambda: zstandard.ZstdDecompressor().decompressobj(), names, (zstandard.ZstdError,)
    )


async def gzip_(call: Call) -> int:
    found, names = options(call.args, "dcqfkn123456789")
    if "d" not in found and call.name == "gzip":
        data = b"".join([chunk async for chunk in call.inputs(names)])
        await call.out.write(gzip.compress(data, mtime=0))
        return 0
    return await _decompress(call, lambda: zlib.decompressobj(wbits=31), names, (zlib.error,))


async def xz(call: Call) -> int:
    found, names = options(call.args, "dcqfkT0123456789")
    if "d" not in found and call.name == "xz":
        raise UsageError("the lab's xz only decompresses")
    return await _decompress(call, lzma.LZMADecompressor, names, (lzma.LZMAError,))


async def checksum(call: Call) -> int:
    _, names = options(call.args, "btz")
    status = 0
    for name in names or ["-"]:
        digest = hashlib.new(call.name.removesuffix("sum"))
        try:
            async for chunk in chunks(
                call.stdin if name == "-" else call.files.reader(call.path(name)), 1024 * 1024
            ):
                digest.update(chunk)
        except OSError as error:
            status = await call.fail(f"{name}: {error.strerror}")
            continue
        await call.print(f"{digest.hexdigest()}  {name}")
    return status


async def cmp(call: Call) -> int:
    found, names = options(call.args, "sl", "n")
    limit = size_of(found["n"]) if "n" in found else None
    first, second = [b"".join([chunk async for chunk in call.inputs([name])])[:limit] for name in names[:2]]
    if first == second:
        return 0
    return 1 if "s" in found else await call.fail(f"{names[0]} {names[1]} differ")


TOOLS: Mapping[str, Tool] = {
    "dd": dd,
    "zstd": zstd,
    "zstdcat": zstd,
    "gzip": gzip_,
    "zcat": gzip_,
    "gunzip": gzip_,
    "xz": xz,
    "xzcat": xz,
    "sha256sum": checksum,
    "sha1sum": checksum,
    "md5sum": checksum,
    "sha512sum": checksum,
    "cmp": cmp,
}
