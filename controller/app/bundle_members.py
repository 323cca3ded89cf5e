"""What may lie in a bundle: plain files under plain names that its signed metadata names, and nothing else.

Looks at names, kinds and sizes before anything is read. Verifies no signature; that was done, or comes next.
"""

import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.app.feed_port import TargetInfo
from controller.app.plain_files import open_plain, pieces
from inventory.errors import OperatorError, RefusedError

MOST, _MOST_FOLDERS, _DEEPEST, _MOST_METADATA = 1000, 1000, 9, 4_000_000
_FOR_METADATA = 300  # of the places: a chain of roots may be long
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_METADATA = re.compile(r"metadata/(timestamp|\d{1,9}\.(root|snapshot|targets))\.json", re.ASCII)
_AGAIN = "have it made again (cto bundle create), or copy it again; nothing was changed"


def walk(folder: Path) -> Mapping[str, int]:
    """Path → size of each file. Raises RefusedError at the first that may not be there."""
    if folder.is_symlink() or not folder.is_dir():
        raise OperatorError(
            "a bundle is a folder", where=str(folder), fix="name the folder; archives are not unpacked"
        )
    found: dict[str, int] = {}
    folders, seen = [""], 0
    while folders:
        prefix = folders.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                path, seen = f"{prefix}{entry.name}", seen + 1
                if seen > MOST + _MOST_FOLDERS or len(found) >= MOST:
                    raise _refused(folder, f"it has more than {MOST} files")
                if _NAME.fullmatch(entry.name) is None or path.count("/") > _DEEPEST:
                    raise _refused(folder, f"{path!r:.200} is no name that a bundle has")
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(f"{path}/")
                else:
                    _plain(folder, path, status)
                    found[path] = status.st_size
    return found


def _plain(root: Path, path: str, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refused(root, f"{path} is a link")
    if not stat.S_ISREG(status.st_mode):
        raise _refused(root, f"{path} is a device, a FIFO or a socket")
    if status.st_nlink != 1:
        raise _refused(root, f"{path} is a hard link: its content may belong to something else")


def expected(
    folder: Path, members: Mapping[str, int], targets: Mapping[str, TargetInfo]
) -> tuple[TargetInfo, ...]:
    """The targets that are there. Every member must be one of them or metadata, and as long as was signed."""
    named = {f"targets/{safe(info.stored_as)}": info for info in targets.values()}
    present = []
    for path, size in members.items():
        if _METADATA.fullmatch(path):
            if size > _MOST_METADATA:
                raise _refused(folder, f"{path} is longer than metadata may be")
            continue
        info = named.get(path)
        if info is None:
            raise _refused(folder, f"{path} is not named by the signed metadata")
        if size != info.length:
            raise _refused(folder, f"{path} has {size} bytes, {info.length} were signed")
        present.append(info)
    return tuple(present)


def hashed(folder: Path, info: TargetInfo) -> None:
    digest = hashlib.sha256()
    with open_plain(folder, f"targets/{info.stored_as}") as file:
        for piece in pieces(file):
            digest.update(piece)
    if digest.hexdigest() != info.sha256:
        raise _refused(folder, f"{info.path} is not the file that was signed")


def safe(path: str) -> str:
    """A target's path as a place in a bundle. A publisher may sign odd names; they do not become paths."""
    steps: Sequence[str] = path.split("/")
    if len(steps) > _DEEPEST or not all(_NAME.fullmatch(step) for step in steps):
        raise RefusedError(
            f"{path!r:.200} is no name that a bundle has", where="feed", fix="tell its publisher"
        )
    return path


def countable(files: int) -> None:
    """Before a bundle is made that nobody could import. Metadata takes some of the places."""
    most = MOST - _FOR_METADATA
    if files > most:
        raise OperatorError(f"{files} files are too many for one bundle: {most} at most", fix="name fewer")


def _refused(folder: Path, why: str) -> RefusedError:
    return RefusedError(f"this bundle is refused: {why}", where=str(folder), fix=_AGAIN)
