"""Makes a fresh Debian tree small, and the same at every build. Works on the tree in place.

What differs between builds (keys, random ids, logs) is removed, so is what a machine in RAM never reads.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from inventory.errors import CheckFailed
from iso.build import tools
from iso.render import modules

_GONE = (
    "boot/*",
    "vmlinuz*",
    "initrd.img*",
    "etc/*-",
    "etc/apt/sources.list",
    "etc/hostname",
    "etc/hosts",
    "etc/nvme/host*",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_*",
    "etc/ssh/sshd_config",
    "etc/systemd/system/*",
    "usr/bin/perl*",
    "usr/lib/locale/*",
    "usr/lib/python3*/ensurepip",
    "usr/lib/python3*/idlelib",
    "usr/lib/python3*/lib2to3",
    "usr/lib/python3*/test",
    "usr/lib/python3*/tkinter",
    "usr/lib/python3*/turtledemo",
    "usr/lib/udev/hwdb.d/*",
    "usr/lib/x86_64-linux-gnu/libicu*",  # 30 MB that only xfs_scrub wants
    "usr/lib/x86_64-linux-gnu/perl*",
    "usr/sbin/xfs_scrub*",
    "usr/share/bug",
    "usr/share/perl*",
    "usr/share/fonts",
    "usr/share/icons",
    "usr/share/lintian",
    "usr/share/polkit-1",
    "usr/share/zsh",
    "var/backups/*",
    "var/cache/*",
    "var/lib/apt/*",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/info",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/status",
    "var/lib/dpkg/triggers",
    "var/lib/systemd/catalog/*",
    "var/lib/systemd/random-seed",
    "var/log/*",
    "tmp/*",
)


def trim(root: Path, *, kernel: str) -> None:
    """Removes what is not needed; `kernel` is the version whose modules are in the tree."""
    for pattern in _GONE:
        remove(_matches(root, pattern))
    remove(list(root.rglob("__pycache__")))
    _trim_modules(root, kernel)
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    (root / "etc/fstab").write_text("")
    _lock_root(root / "etc/shadow")


def _matches(root: Path, pattern: str) -> list[Path]:
    """As glob, but a link that leads nowhere is found too."""
    if "*" in pattern:
        return list(root.glob(pattern))
    path = root / pattern
    return [path] if path.exists() or path.is_symlink() else []


def remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _trim_modules(root: Path, kernel: str) -> None:
    folder = root / "usr/lib/modules" / kernel
    dependencies = modules.parse_dependencies((folder / "modules.dep").read_text())
    keep = modules.kept(dependencies)
    remove(folder / name for name in dependencies if name not in keep)
    tools.run(["depmod", "-b", root, kernel])


def _lock_root(shadow: Path) -> None:
    """Nobody logs in by password, and the file says nothing of the day it was made."""
    rows = [line.split(":") for line in shadow.read_text().splitlines()]
    for row in rows:
        row[1], row[2] = "*", "1"
    shadow.write_text("".join(":".join(row) + "\n" for row in rows))


def set_times(root: Path, epoch: int) -> None:
    """The same time on every file, link and directory."""
    for folder, names, files in os.walk(root, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=False)  # noqa: PTH118 - 30,000 of them
    os.utime(root, (epoch, epoch))


def kernel_version(root: Path) -> str:
    found = sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise CheckFailed(f"one kernel was expected in the tree, found: {', '.join(found) or 'none'}")
    return found[0]
