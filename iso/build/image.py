"""The ISO: one file that starts from CD, USB stick or virtual medium, by BIOS or UEFI.

Puts together what the other modules made; asks nobody and keeps nothing but what it is told to.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from inventory.errors import OperatorError
from iso.build import base, distributions, loader, payload, product, room, tools
from iso.build.payload import Carried
from iso.build.tools import Progress, Report
from iso.render import grub, packages, sbom, site

# The time on every file unless SOURCE_DATE_EPOCH says another: images differ by content only.
EPOCH = 1_750_000_000
_HYBRID_MBR = "/usr/lib/grub/i386-pc/boot_hybrid.img"


@dataclass(frozen=True, slots=True)
class Request:
    output: Path
    cache: Path
    layer: site.SiteLayer
    carried: tuple[Carried, ...] = ()
    arch: str = "amd64"
    firmware: bool = False
    refresh: bool = False
    epoch: int = EPOCH


@dataclass(frozen=True, slots=True)
class Built:
    """`parts`: size of each file on the image, by name. `contents`: what the site layer carries."""

    path: Path
    sha256: str
    size: int
    secret: bool
    seconds: float
    memory: int = 0  # bytes that a machine needs to start it
    parts: dict[str, int] = field(default_factory=dict)
    contents: tuple[str, ...] = ()


def build(request: Request, *, report: Report, monotonic: Callable[[], float] = time.monotonic) -> Built:
    """Makes the image, its SBOM and its checksums. The old image stays until the new one is whole."""
    started = monotonic()
    _check(request)
    request.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(request.cache, report), room.told(request.cache):
        return _build(request, started, report, monotonic)


def _build(request: Request, started: float, report: Report, monotonic: Callable[[], float]) -> Built:
    under = base.ensure(
        request.cache,
        firmware=request.firmware,
        epoch=request.epoch,
        refresh=request.refresh,
        report=report,
    )
    ours = product.ensure(request.cache, epoch=request.epoch, report=report)
    signed = loader.signed_files(request.cache)
    report(Progress("iso", f"writing {request.output.name}"))
    with tempfile.TemporaryDirectory(dir=request.cache, prefix="iso.") as temporary:
        work = Path(temporary)
        parts = _parts(work, request, under, ours)
        made = _xorriso(work, parts, signed, request)
        sizes = {name: path.stat().st_size for name, path in parts.items()}
        sha256 = _publish(made, request)
    _sbom(request, [*under.components, *ours.components])
    _checksums(request.output, sha256)
    return Built(
        path=request.output,
        sha256=sha256,
        size=request.output.stat().st_size,
        secret=request.layer.secret,
        seconds=round(monotonic() - started, 1),
        memory=room.memory(request.carried),
        parts=sizes,
        contents=site.contents(request.layer),
    )


@contextmanager
def _alone(cache: Path, report: Report) -> Iterator[None]:
    """One build at a time in one cache: each tidies up what others would still be reading."""
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(Progress("wait", "another build uses this cache"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check(output: Path, arch: str = "amd64") -> None:
    """Refuses what can be seen to fail before anything is made for the image."""
    check_arch(arch)
    tools.require()
    distributions.check_interpreter()
    if os.geteuid() != 0:
        raise OperatorError("building needs root: packages are set up in a chroot", fix="run it with sudo")
    if not output.absolute().parent.is_dir():
        raise OperatorError("no such directory", where=str(output.parent), fix="create it first")


def _check(request: Request) -> None:
    check(request.output, request.arch)
    site.check(request.layer)
    room.check(request.cache, request.output, sum(item.source.stat().st_size for item in request.carried))


def check_arch(arch: str) -> None:
    """Refuses an architecture that the layout knows and the build does not, naming what is missing."""
    missing = packages.MISSING[arch]
    if missing:
        raise OperatorError(
            f"an image for {arch} is not built yet; missing: {'; '.join(missing)}",
            where="--arch",
            fix="start such machines from another Debian live system with openssh-server and zstd",
        )


def _parts(work: Path, request: Request, under: base.Base, ours: product.Product) -> dict[str, Path]:
    layer = work / "site.img"
    layer.write_bytes(site.image(request.layer, mtime=request.epoch))
    initrds = [under.initrd, ours.initrd, layer]
    if request.carried:
        initrds.insert(2, payload.write(work / "payload.img", request.carried, epoch=request.epoch))
    names = grub.initrds(request.arch, payload=bool(request.carried))
    return {grub.kernel(request.arch): under.kernel, **dict(zip(names, initrds, strict=True))}


def _xorriso(work: Path, parts: dict[str, Path], signed: Path, request: Request) -> Path:
    epoch = request.epoch
    texts = {
        "boot/grub/grub.cfg": grub.menu(request.layer, arch=request.arch, payload=bool(request.carried)),
        "boot/grub/x86_64-efi/grub.cfg": grub.signed_menu(),
        grub.MARKER: "Platform-in-a-Box\n",
    }
    files = {**parts, "boot/grub/eltorito.img": loader.bios(work)}
    tree = loader.tree(work, files, texts, epoch=epoch)
    efi = loader.efi_partition(work, signed, epoch=epoch)
    made = work / "image.iso"
    tools.run(command(tree, efi, made, epoch=epoch), env={"SOURCE_DATE_EPOCH": str(epoch)})
    return made


def command(tree: Path, efi: Path, made: Path, *, epoch: int) -> list[str]:
    """The command line: El Torito for both firmwares, and a partition table for sticks."""
    moment = datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d%H%M%S00")
    guid = hashlib.sha256(f"{grub.VOLUME} {epoch}".encode()).hexdigest()[:32]
    return [
        *("xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long"),
        *("-V", grub.VOLUME, f"--modification-date={moment}"),
        *("-b", "boot/grub/eltorito.img", "-c", "boot/boot.cat", "-no-emul-boot", "-boot-load-size", "4"),
        *("-boot-info-table", "--grub2-boot-info", "--grub2-mbr", _HYBRID_MBR),
        *("-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"),
        *("-append_partition", "2", "0xef", str(efi), "-appended_part_as_gpt", "--gpt_disk_guid", guid),
        *("-partition_offset", "16", "-uid", "0", "-gid", "0", "-o", str(made), str(tree)),
    ]


def _publish(made: Path, request: Request) -> str:
    """The image at its place, whole or not at all; 0600 if what is in it is a secret."""
    whole, output = hashlib.sha256(), request.output
    partial = output.with_name(f".{output.name}.part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in base.chunks(made):
                whole.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o600 if request.layer.secret else 0o644)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    return whole.hexdigest()


def _sbom(request: Request, components: list[sbom.Component]) -> None:
    version = metadata.version("platform-in-a-box")
    text = sbom.document(components, product="platform-in-a-box-iso", version=version, epoch=request.epoch)
    sbom_path(request.output).write_text(text)


def sbom_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}.cdx.json")


def _checksums(output: Path, sha256: str) -> None:
    """`SHA256SUMS` beside the image; lines about other files in it stay."""
    sums = output.with_name("SHA256SUMS")
    listed = sbom_path(output)
    new = {output.name: sha256, listed.name: hashlib.sha256(listed.read_bytes()).hexdigest()}
    old = sums.read_text().splitlines() if sums.exists() else []
    kept = [line for line in old if line[66:] not in new]
    sums.write_text("\n".join([*kept, *(f"{digest}  {name}" for name, digest in sorted(new.items()))]) + "\n")
