"""Lets many threads write: one thread of its own holds the services, and does one act after the other.

SQLite has one writer anyway. What an act raises comes out where it was ordered.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from controller.app.services import Services

T = TypeVar("T")
_TIMEOUT = 30.0  # seconds; the store itself gives up after ten


class Writing:
    """`opened` gives services of its own to the thread, at the first act."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Services]]) -> None:
        self._opened = opened
        self._stack = ExitStack()
        self._services: Services | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writing")

    def run(self, act: Callable[[Services], T]) -> T:
        return self._submit(act).result(_TIMEOUT)

    def later(self, act: Callable[[Services], object]) -> None:
        """Without waiting, and without being told of an error: for what may be lost."""
        self._submit(act)

    def close(self) -> None:
        self._thread.submit(self._stack.close)
        self._thread.shutdown(wait=True)

    def _submit(self, act: Callable[[Services], T]) -> "Future[T]":
        return self._thread.submit(lambda: act(self._made()))

    def _made(self) -> Services:
        if self._services is None:
            self._services = self._stack.enter_context(self._opened())
        return self._services
