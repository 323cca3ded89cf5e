"""The product layer: our program, the static files of the environment, and which units start.

Kept by a digest of its files, because compressing it takes longer than all the rest of a build.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from iso.build import base, distributions, trim
from iso.build.tools import Progress, Report
from iso.render import cpio, sbom, units

_SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages"
_PROGRAMS = ("usr/bin/", "usr/lib/cto/")


@dataclass(frozen=True, slots=True)
class Product:
    initrd: Path
    components: tuple[sbom.Component, ...]


def ensure(cache: Path, *, epoch: int, report: Report) -> Product:
    """The product layer of the running program, from the cache if nothing changed."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="product.") as temporary:
        root = Path(temporary) / "product"
        components = fill(root)
        trim.set_times(root, epoch)
        init = (files("iso.environment") / "init").read_bytes()
        digest = _digest(root, init, epoch)
        kept = cache / f"product-{digest}.img"
        if kept.exists():
            report(Progress("product", "unchanged, taken from the cache"))
            return Product(kept, components)
        squashed = Path(temporary) / "product.squashfs"
        base.squash(root, squashed, epoch=epoch, report=report)
        entries = [
            cpio.Entry("init", init, mode=0o755),
            cpio.Entry(squashed.name, chunks=base.chunks(squashed), size=squashed.stat().st_size),
        ]
        made = Path(temporary) / kept.name
        base.write(made, cpio.archive(entries, mtime=epoch))
        for old in cache.glob("product-*.img"):
            old.unlink()  # each change of the program makes a new one
        made.rename(kept)
        return Product(kept, components)


def fill(root: Path) -> tuple[sbom.Component, ...]:
    """Puts the files of the layer into `root`."""
    _overlay(root)
    for target, names in units.ENABLED.items():
        wants = root / "etc/systemd/system" / f"{target}.wants"
        wants.mkdir(parents=True)
        for name in names:
            ours = (root / "etc/systemd/system" / name).exists()
            (wants / name).symlink_to(f"{'/etc' if ours else '/lib'}/systemd/system/{name}")
    for name in units.MASKED:
        (root / "etc/systemd/system" / name).symlink_to("/dev/null")
    default = root / "etc/systemd/system/default.target"
    default.symlink_to(f"/lib/systemd/system/{units.DEFAULT_TARGET}")
    return distributions.copy(root / _SITE_PACKAGES)


def _overlay(root: Path) -> None:
    source = Path(str(files("iso.environment") / "overlay"))
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("__pycache__"))
    for folder, _, names in os.walk(root):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder) / name
            program = str(path.relative_to(root)).startswith(_PROGRAMS)
            path.chmod(0o755 if program else 0o644)  # whatever the checkout's umask was


def _digest(root: Path, init: bytes, epoch: int) -> str:
    """Of every name, link and content."""
    whole = hashlib.sha256(json.dumps([base.LEVEL, base.FORMAT, epoch]).encode() + init)
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            row = ["link", name, str(path.readlink())]
        elif path.is_dir():
            row = ["dir", name]
        else:
            row = ["file", name, oct(path.stat().st_mode), hashlib.sha256(path.read_bytes()).hexdigest()]
        whole.update(json.dumps(row).encode())
    return whole.hexdigest()[:16]
