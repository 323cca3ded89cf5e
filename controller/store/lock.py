"""The engine's lock: one engine per home. Held by the kernel (flock), so kill -9 frees it.

Guards only against a second engine on the same home. A copied home is caught by the epoch in the store.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from controller.store.home import PRIVATE_FILE, Home
from inventory.errors import BusyError


class EngineLock:
    """Held from `acquire` until `release`, or until the process ends in any way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, home: Home) -> "EngineLock":
        """Raises BusyError with the holder's pid if another process is the engine."""
        home.create()
        return cls(
            _taken(
                home.engine_lock,
                what="another engine (pid {pid}) is at work",
                fix="follow it with `cto status` or `cto events --follow`, or stop it first",
            )
        )

    def release(self) -> None:
        """Frees the lock; the file stays, since removing it would let two engines lock different files."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class HostLock(EngineLock):
    """Held by whoever lets machines enrol: `cto serve` for all its life, or `cto enroll open`."""

    @classmethod
    def acquire(cls, home: Home) -> "HostLock":
        """Raises BusyError with the holder's pid."""
        home.create()
        what = "another process (pid {pid}) lets machines enrol"
        return cls(_taken(home.enroll_lock, what=what, fix="see `cto enroll list`"))


def _taken(path: Path, *, what: str, fix: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise BusyError(what.format(pid=pid or "unknown"), where=str(path.parent), fix=fix) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def holder(home: Home) -> int:
    """The pid of the engine as far as one can tell without taking the lock; 0 if there is none.

    For display. Whoever wants to act calls `EngineLock.acquire`.
    """
    try:
        pid = int(home.engine_lock.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
    return pid if alive(pid) else 0


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # it lives, as another user
    except (OSError, OverflowError):
        return False
    return True
