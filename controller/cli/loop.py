"""Runs one coroutine with services that live on the event loop, and closes those whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


def on_loop(services: Any, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work()`. Ctrl-C cancels it, closes connections, then comes out as KeyboardInterrupt."""

    async def body() -> T:
        try:
            return await work()
        finally:
            await services.aclose()

    return asyncio.run(body())
