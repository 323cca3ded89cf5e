"""The base layer: Debian, trimmed and squashed, and the kernel. Made seldom, kept in the cache.

Holds nothing of ours but the choice of packages and files; its key is a digest of that choice.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iso.build import packages, sources, tools, trim
from iso.build.tools import Progress, Report
from iso.render import cpio, modules, sbom
from iso.render import packages as wanted

_CHUNK = 1024 * 1024
LEVEL = 15  # of zstd; 19 takes three times as long for 2 % less
FORMAT = 3  # raised when the same input shall give other bytes: what is kept in caches is then made anew


@dataclass(frozen=True, slots=True)
class Base:
    """A base layer in the cache."""

    folder: Path

    @property
    def initrd(self) -> Path:
        return self.folder / "base.img"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def components(self) -> tuple[sbom.Component, ...]:
        rows = json.loads((self.folder / "components.json").read_text())
        return tuple(sbom.Component(*row) for row in rows)


def digest(*, firmware: bool, epoch: int) -> str:
    """Of all that decides what the base layer holds, but for the versions of its packages."""
    parts = (
        wanted.SUITE,
        wanted.names(firmware=firmware),
        wanted.dpkg_options(),
        sorted(modules.DROPPED),
        modules.EARLY,
        trim._GONE,  # noqa: SLF001 - the list is data
        LEVEL,
        FORMAT,
        epoch,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def ensure(cache: Path, *, firmware: bool, epoch: int, refresh: bool, report: Report) -> Base:
    """From the cache, or made. `refresh`: made again, with today's versions of the packages."""
    kind = "base-firmware" if firmware else "base-plain"
    folder = cache / f"{kind}-{digest(firmware=firmware, epoch=epoch)}"
    if folder.exists() and not refresh:
        report(Progress("packages", "unchanged, taken from the cache"))
        return Base(folder)
    work = cache / f"{folder.name}.part"
    _clear(work)
    work.mkdir(parents=True)
    try:
        _make(work, cache / "debs", firmware=firmware, epoch=epoch, report=report)
        shutil.rmtree(work / "root")
        for old in set(cache.glob(f"{kind}-*")) - {work}:
            shutil.rmtree(old)  # of other packages or trimming, or the one that is made anew
        work.rename(folder)
    except BaseException:
        _clear(work)
        raise
    return Base(folder)


def _clear(work: Path) -> None:
    tools.check_no_mounts(work)
    shutil.rmtree(work, ignore_errors=True)


def _make(work: Path, debs: Path, *, firmware: bool, epoch: int, report: Report) -> None:
    root = work / "root"
    found = sources.of_this_machine(wanted.SUITE, wanted.components(firmware=firmware))
    packages.unpack(root, debs, found, firmware=firmware, epoch=epoch, report=report)
    kernel = trim.kernel_version(root)
    shutil.copyfile(root / "boot" / f"vmlinuz-{kernel}", work / "vmlinuz")
    components = sbom.parse_dpkg((root / "var/lib/dpkg/status").read_text())
    rows = [[item.kind, item.name, item.version, item.arch] for item in components]
    (work / "components.json").write_text(json.dumps(rows))
    report(Progress("trim", f"kernel {kernel}, {len(components)} packages"))
    trim.trim(root, kernel=kernel)
    trim.set_times(root, epoch)
    squash(root, work / "base.squashfs", epoch=epoch, report=report)
    early = _early(root, kernel)
    squashed = work / "base.squashfs"
    entry = cpio.Entry(squashed.name, chunks=chunks(squashed), size=squashed.stat().st_size)
    write(work / "base.img", cpio.archive([*early, entry], mtime=epoch))
    squashed.unlink()


def _early(root: Path, kernel: str) -> list[cpio.Entry]:
    """What runs before there is a root file system: busybox and three modules."""
    folder = root / "usr/lib/modules" / kernel
    order = modules.load_order(modules.parse_dependencies((folder / "modules.dep").read_text()))
    names = [Path(name).name for name in order]
    applets = ("sh", "mount", "umount", "insmod", "mkdir", "losetup", "cp", "mv", "switch_root", "echo")
    return [
        *(cpio.Entry(name, mode=0o755, directory=True) for name in ("dev", "proc", "sys")),
        # Called by another name, busybox would look for an applet of that name.
        cpio.Entry("bin/busybox", (root / "usr/bin/busybox").read_bytes(), mode=0o755),
        *(cpio.Entry(f"bin/{applet}", link="busybox") for applet in applets),
        *(cpio.Entry(f"modules/{Path(name).name}", (folder / name).read_bytes()) for name in order),
        cpio.Entry("modules/order", "".join(f"{name}\n" for name in names).encode()),
    ]


def squash(root: Path, target: Path, *, epoch: int, report: Report) -> None:
    """`root` as a squashfs: the same bytes for the same tree, however many processors compress."""
    report(Progress("squash", f"compressing {root.name}"))
    options = ("-noappend", "-no-xattrs", "-no-exports", "-no-progress", "-all-root", "-b", "128K")
    packing = ("-mkfs-time", str(epoch), "-comp", "zstd", "-Xcompression-level", str(LEVEL))
    tools.run(["mksquashfs", root, target, *options, *packing])


def chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            yield part


def write(path: Path, parts: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
