"""The programs that a build runs: whether they are there, and running them so that they can be stopped.

Knows no step of the build.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inventory.errors import CommandFailed, OperatorError

# Program or file → the Debian package that has it.
PROGRAMS = {
    "apt-get": "apt",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "grub-mkimage": "grub-common",
    "mcopy": "mtools",
    "mformat": "mtools",
    "mmd": "mtools",
    "chroot": "coreutils",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "xorriso": "xorriso",
    "/usr/lib/grub/i386-pc/cdboot.img": "grub-pc-bin",
}
_SBIN = ("/usr/sbin", "/sbin")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """One line about a build. `done` and `total` are 0 where a step cannot be counted."""

    step: str
    text: str
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


def path() -> str:
    """PATH with the folders that Debian keeps from ordinary users."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])


def require(wanted: Iterable[str] = PROGRAMS) -> None:
    """Refuses with the names of the Debian packages if anything is missing."""
    missing = {name for name in wanted if not _there(name)}
    if missing:
        packages = sorted({PROGRAMS.get(name, name) for name in missing})
        raise OperatorError(
            f"not installed here: {', '.join(sorted(missing))}",
            fix=f"apt-get install --no-install-recommends {' '.join(packages)}",
        )


def _there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(name, path=path()) is not None


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    said: Say | None = None,
    fix: str = "",
) -> str:
    """Runs a program to its end and returns what it printed. `said` gets each line as it comes."""
    lines: list[str] = []
    with subprocess.Popen(
        [str(part) for part in argv],
        cwd=cwd,
        env={"PATH": path(), "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                if said is not None:
                    said(line.rstrip())
        except BaseException:
            # All of them, as ^C in a terminal would: mmdebstrap alone waits for its children to finish.
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
            raise
    if process.returncode:
        tail = "".join(lines[-12:]).strip()
        name = Path(str(argv[0])).name
        raise CommandFailed(f"{name} ended with status {process.returncode}: {tail}", fix=fix)
    return "".join(lines)


def check_no_mounts(folder: Path) -> None:
    """Before a tree is deleted: a file system that is still mounted in it would be emptied too."""
    inside = f" {folder.absolute()}/"
    mounted = [
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if inside in line
    ]
    if mounted:
        fix = f"umount {' '.join(reversed(mounted))}"
        raise OperatorError("a broken build left file systems mounted", where=str(folder), fix=fix)
