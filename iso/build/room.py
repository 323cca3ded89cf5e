"""Whether there is room for a build, asked before it begins; and how much memory its image needs.

Figures are from builds that were measured, with some to spare. Frees nothing.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory.errors import OperatorError
from iso.build.payload import Carried

MIB = 1024 * 1024
_TREE = 1100 * MIB  # packages, the unpacked tree and its compressed form
_IMAGE = 250 * MIB
_KEPT = "base-*/base.img"
_MEMORY = 1024 * MIB  # of the environment itself


def check(cache: Path, output: Path, carried: int) -> None:
    """Refuses a build that would end with a full disk. `carried`: bytes of what travels with the image."""
    image = _IMAGE + carried
    needed: dict[int, tuple[Path, int]] = {}
    for place, size in ((cache, image * 2 + (0 if list(cache.glob(_KEPT)) else _TREE)), (output, image)):
        folder = next(path for path in (place, *place.absolute().parents) if path.is_dir())
        device = folder.stat().st_dev
        needed[device] = (folder, needed.get(device, (folder, 0))[1] + size)
    for folder, size in needed.values():
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        if free < size:
            raise OperatorError(
                f"a build may need {size // MIB} MiB, and {free // MIB} MiB are free",
                where=str(folder),
                fix="free some, or keep packages on another disk with --cache FOLDER",
            )


@contextmanager
def told(place: Path) -> Iterator[None]:
    """A disk that filled up all the same is the operator's to mend, not a bug of ours."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fix = "free some, or keep packages on another disk with --cache FOLDER; then build again"
        raise OperatorError("the disk is full", where=error.filename or str(place), fix=fix) from error


def memory(carried: Iterable[Carried]) -> int:
    """Bytes a machine needs: while it starts, what travels along is there twice."""
    return _MEMORY + 2 * sum(item.source.stat().st_size for item in carried)
