"""Open connections by key: shared, kept, and replaced when they broke. Knows nothing of hosts or pins."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from controller.adapters.ssh_library import asyncssh

K = TypeVar("K")


class Pool(Generic[K]):
    """Open connections by key. Those who ask at the same time share one attempt; a failed one is not kept."""

    def __init__(self, connect: Callable[[K], Coroutine[Any, Any, asyncssh.SSHClientConnection]]) -> None:
        self._connect = connect
        self._tasks: dict[K, asyncio.Task[asyncssh.SSHClientConnection]] = {}

    async def get(self, key: K) -> asyncssh.SSHClientConnection:
        task = self._tasks.get(key)
        if task is None or _useless(task):
            task = self._tasks[key] = asyncio.create_task(self._connect(key))
            task.add_done_callback(_failed)  # looked at even if every caller has gone meanwhile
        # Shielded: one caller's deadline must not end the attempt for the others.
        return await asyncio.shield(task)

    def discard(self, key: K, connection: asyncssh.SSHClientConnection) -> None:
        task = self._tasks.get(key)
        if task is not None and task.done() and not _failed(task) and task.result() is connection:
            del self._tasks[key]
            connection.close()

    async def close(self) -> None:
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            if not task.done():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connections = [task.result() for task in tasks if not _failed(task)]
        for connection in connections:
            connection.close()
        await asyncio.gather(*(c.wait_closed() for c in connections), return_exceptions=True)


def _failed(task: "asyncio.Task[asyncssh.SSHClientConnection]") -> bool:
    return task.cancelled() or task.exception() is not None


def _useless(task: "asyncio.Task[asyncssh.SSHClientConnection]") -> bool:
    return task.done() and (_failed(task) or task.result().is_closed())
