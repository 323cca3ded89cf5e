"""Debian packages to a directory, by mmdebstrap. What was fetched is kept, so a broken build goes on.

Trims nothing and adds nothing of ours.
"""

import shlex
import shutil
from pathlib import Path

from iso.build import tools
from iso.build.sources import Sources
from iso.build.tools import Progress, Report
from iso.render import packages

_ARCHIVES = "/var/cache/apt/archives"
_FIX = "look at the lines above; run it again: what was fetched already is kept"


def unpack(root: Path, cache: Path, sources: Sources, *, firmware: bool, epoch: int, report: Report) -> None:
    """A Debian of the wanted packages in `root`, which must not exist yet."""
    cache.mkdir(parents=True, exist_ok=True)
    total = len(list(cache.glob("*.deb")))
    counted = 0

    def said(line: str) -> None:
        nonlocal counted
        if line.startswith(("Get:", "Unpacking ", "Setting up ")):
            counted += 1
            words = line.split()
            report(
                Progress(
                    "packages", f"{words[0].rstrip(':').lower()} {words[-1 if 'Get' in words[0] else 1]}"
                )
            )
        elif line.startswith(("I: ", "E: ", "W: ")):
            report(Progress("packages", line[3:]))

    report(Progress("packages", f"{total} packages in the cache"))
    try:
        tools.run(
            command(root, cache, sources, firmware=firmware),
            env={"SOURCE_DATE_EPOCH": str(epoch), "INITRD": "No", **sources.environment()},
            said=said,
            fix=_FIX,
        )
    except BaseException:
        keep(root, cache)
        raise


def keep(root: Path, cache: Path) -> None:
    """Saves what a broken build had fetched; a file that was still on its way is in another folder."""
    for package in (root / _ARCHIVES.lstrip("/")).glob("*.deb"):
        if not (cache / package.name).exists():
            shutil.copyfile(package, cache / f"{package.name}.part")
            (cache / f"{package.name}.part").rename(cache / package.name)


def command(root: Path, cache: Path, sources: Sources, *, firmware: bool) -> list[str]:
    """The command line. Its special hooks (sync-in, sync-out) must each be the whole of a hook."""
    inside, outside = _ARCHIVES, shlex.quote(str(cache))
    return [
        "mmdebstrap",
        "--verbose",
        "--mode=root",
        "--format=directory",
        "--variant=essential",
        "--architectures=amd64",
        f"--components={','.join(packages.components(firmware=firmware))}",
        f"--include={','.join(packages.names(firmware=firmware))}",
        '--aptopt=Apt::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Acquire::Retries "3"',
        *(f"--aptopt={option}" for option in sources.options),
        *(f"--dpkgopt={option}" for option in packages.dpkg_options()),
        "--skip=essential/unlink",
        f'--setup-hook=mkdir -p "$1"{inside}',
        f"--setup-hook=sync-in {outside} {inside}",
        f'--customize-hook=rm -rf "$1"{inside}/lock "$1"{inside}/partial',
        f"--customize-hook=sync-out {inside} {outside}",
        packages.SUITE,
        str(root),
        *sources.lines,
    ]
