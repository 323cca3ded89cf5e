"""Runs one coroutine with services that live on the event loop, and closes those whatever happens."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
_YOUNG = 10_000  # objects made since the last look (Python's own: 700)


def on_loop(services: Any, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`. Ctrl-C cancels it, closes connections, then comes out as KeyboardInterrupt."""
    # What was imported stays, and hundreds of connections are no cycles: less looking through all of it.
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)

    async def body() -> T:
        try:
            return await work()
        finally:
            await services.aclose()

    return asyncio.run(body())
