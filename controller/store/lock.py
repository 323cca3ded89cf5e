"""The engine's lock: one engine per home. Held by the kernel (flock), so kill -9 frees it.

Guards only against a second engine on the same home. A copied home is caught by the epoch in the store.
"""

import fcntl
import os
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
        descriptor = os.open(home.engine_lock, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise BusyError(
                f"another engine (pid {holder or 'unknown'}) is at work",
                where=str(home.root),
                fix="follow it with `cto status` or `cto events --follow`, or stop it first",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

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


def holder(home: Home) -> int:
    """The pid of the engine as far as one can tell without taking the lock; 0 if there is none.

    For display. Whoever wants to act calls `EngineLock.acquire`.
    """
    try:
        pid = int(home.engine_lock.read_text(encoding="ascii"))
        os.kill(pid, 0)
    except PermissionError:
        return pid  # it lives, as another user
    except (OSError, ValueError, OverflowError):
        return 0
    return pid
