"""Reads files of a folder that somebody else filled: a stick, a bundle. Follows no link, opens no device."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from inventory.errors import RefusedError

CHUNK = 1024 * 1024
_FIX = "have it made again: cto bundle create; nothing was changed"


def open_plain(root: Path, relative: str) -> BinaryIO:
    """The file `relative` below `root`, reached through real directories only. FileNotFoundError if missing.

    Each step is taken from the one before, so exchanging a directory meanwhile leads nowhere.
    """
    *folders, name = relative.split("/")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = _open(root, relative, folder, os.O_RDONLY | os.O_DIRECTORY, here)
            os.close(here)
            here = inner
        # Not blocking: a FIFO without a writer would be waited for.
        found = _open(root, relative, name, os.O_RDONLY | os.O_NONBLOCK, here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise _not_plain(root, relative)
    return os.fdopen(found, "rb")


def pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def whole(path: Path, sha256: str, length: int) -> bool:
    """Hashed again at every use: what was right when it came may have rotted since."""
    return path.is_file() and path.stat().st_size == length and file_sha256(path) == sha256


def _open(root: Path, relative: str, name: str, flags: int, folder: int) -> int:
    if name in ("", ".", "..") or "\0" in name:
        raise _not_plain(root, relative)
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _not_plain(root, relative) from error


def _not_plain(root: Path, relative: str) -> RefusedError:
    return RefusedError(f"{relative!r:.200} is a link, a device or no plain file", where=str(root), fix=_FIX)
