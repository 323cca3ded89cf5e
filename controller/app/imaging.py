"""Bytes to and from a node's disk over SSH, each write proved by reading back. Decides nothing about layout.

POSIX sh has no `pipefail`, so every stage of a pipeline reports its own status on standard error
(`cto-stage NAME STATUS`) and a write counts only if all of them say 0.
"""

import hashlib
import re
import shlex
from collections.abc import AsyncIterator, Callable

import zstandard

from controller.app.ports import CachedImage, Completed, Images, Ssh, Target
from inventory.errors import CheckFailed, CommandFailed

MIB = 1024 * 1024
_STAGE = re.compile(rb"^cto-stage (\S+) (\d+)$", re.MULTILINE)
_AGAIN = "run the command again: the disk has no boot sector yet, so the machine still boots from the medium"
_DISK = "look at the disk (cto node show; SMART, cabling) and choose another one if this repeats"


async def write_image(
    ssh: Ssh,
    target: Target,
    disk: str,
    image: CachedImage,
    images: Images,
    *,
    sent: Callable[[int], None],
    deadline: float = 3600,
) -> None:
    """Write all of the image but its first MiB and prove it. `sent(n)`: n more compressed bytes went out."""
    # The machine's own screen shows the share: it finds the total in the environment of what writes.
    writer = f"CTO_TOTAL={image.raw_size} {_dd_to(disk, MIB)}"
    command = _pipeline("zstd -dc", f"tail -c +{MIB + 1}", writer)
    done = await ssh.stream(target, command, images.chunks(image), sent=sent, deadline=deadline)
    _require(done, target, f"writing the image to {disk}", stages=3)
    got = await hash_range(ssh, target, disk, MIB, image.raw_size - MIB, deadline=deadline)
    if got != image.body_sha256:
        raise CheckFailed(f"{disk} does not hold what was written to it", where=target.name, fix=_DISK)


async def write_bytes(
    ssh: Ssh, target: Target, disk: str, offset: int, data: bytes, *, deadline: float = 120
) -> None:
    """Write `data` at `offset`, flushed to the medium, and prove it by reading back."""
    packed = zstandard.ZstdCompressor(level=3).compress(data)
    command = _pipeline("zstd -dc", _dd_to(disk, offset))
    done = await ssh.stream(target, command, _once(packed), sent=lambda _count: None, deadline=deadline)
    _require(done, target, f"writing {len(data)} bytes to {disk}", stages=2)
    if await hash_range(ssh, target, disk, offset, len(data)) != hashlib.sha256(data).hexdigest():
        raise CheckFailed(f"{disk} does not hold what was written to it", where=target.name, fix=_DISK)


async def read_bytes(ssh: Ssh, target: Target, disk: str, offset: int, length: int) -> bytes:
    """`length` bytes (at most 64 MiB) from the disk itself, not from the node's cache."""
    command = f"{_flush(disk)} && {_dd_from(disk, offset, length)}"
    done = await ssh.run(target, command, max_bytes=min(length, 64 * MIB), deadline=300)
    if done.status or len(done.stdout) != length:
        raise CommandFailed(_what(f"reading {disk}", done), where=target.name, fix=_DISK)
    return done.stdout


async def hash_range(
    ssh: Ssh, target: Target, disk: str, offset: int, length: int, *, deadline: float = 1800
) -> str:
    """SHA-256 of a range of the disk: how to see after a crash what was really written."""
    command = f"{_flush(disk)} && {_pipeline(_dd_from(disk, offset, length), 'sha256sum')}"
    done = await ssh.run(target, command, deadline=deadline)
    _require(done, target, f"reading {disk} back", stages=2)
    return done.stdout[:64].decode("ascii", "replace")


async def wipe_range(
    ssh: Ssh, target: Target, disk: str, offset: int, length: int, *, deadline: float = 600
) -> None:
    """Zeros over a range of the disk, made by the machine itself."""
    where = f"iflag=count_bytes oflag=seek_bytes seek={offset} count={length}"
    command = f"dd if=/dev/zero of={shlex.quote(disk)} bs=1M {where} conv=notrunc,fsync status=none"
    done = await ssh.run(target, command, deadline=deadline)
    if done.status:
        raise CommandFailed(
            _what(f"overwriting {length} bytes of {disk}", done), where=target.name, fix=_DISK
        )


async def is_blank(ssh: Ssh, target: Target, disk: str, offset: int, length: int) -> bool:
    """Whether a range of the disk holds nothing but zeros."""
    zeros = hashlib.sha256()
    for at in range(0, length, MIB):
        zeros.update(bytes(min(MIB, length - at)))
    return await hash_range(ssh, target, disk, offset, length) == zeros.hexdigest()


def _dd_to(disk: str, offset: int) -> str:
    where = f"oflag=seek_bytes seek={offset}"
    return f"dd of={shlex.quote(disk)} bs=1M iflag=fullblock {where} conv=notrunc,fsync status=none"


def _dd_from(disk: str, offset: int, length: int) -> str:
    what = f"iflag=skip_bytes,count_bytes skip={offset} count={length}"
    return f"dd if={shlex.quote(disk)} bs=1M {what} status=none"


def _flush(disk: str) -> str:
    return f"blockdev --flushbufs {shlex.quote(disk)}"


def _pipeline(*stages: str) -> str:
    return " | ".join(f"{{ {stage}; echo cto-stage {_program(stage)} $? >&2; }}" for stage in stages)


def _program(stage: str) -> str:
    """Its first word that is no assignment."""
    return next(word for word in stage.split() if "=" not in word)


def _require(done: Completed, target: Target, doing: str, *, stages: int) -> None:
    seen = _STAGE.findall(done.stderr)
    if done.status == 0 and len(seen) == stages and all(status == b"0" for _, status in seen):
        return
    raise CommandFailed(_what(doing, done), where=target.name, fix=_AGAIN)


def _what(doing: str, done: Completed) -> str:
    failed = [name.decode() for name, status in _STAGE.findall(done.stderr) if status != b"0"]
    said = _STAGE.sub(b"", done.stderr).decode("utf-8", "replace").strip()
    detail = said[:300] or (
        f"{' and '.join(failed)} failed" if failed else f"ended with status {done.status}"
    )
    return f"{doing} failed: {detail}"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
