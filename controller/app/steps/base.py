"""The contract of a step, and the waiting that several of them share. Holds no step."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from controller.app.context import ClusterJob, NodeJob
from controller.app.ports import Clock
from inventory.errors import CheckFailed, FleetError

Record = Mapping[str, Any]
T = TypeVar("T")


class NodeStep(Protocol):
    """`repeatable`: the act only reads, so that a second attempt need not be observed first."""

    repeatable: bool

    async def intent(self, job: NodeJob) -> Record:
        """What is written down before the act, so that a later observation has something to compare with."""
        ...

    async def act(self, job: NodeJob) -> Record:
        """Makes the effect and returns what is to be recorded. Raises NodeError and its kin."""
        ...

    async def observe(self, job: NodeJob) -> Record | None:
        """What is to be recorded if a fresh read shows the effect, else None."""
        ...


class ClusterStep(Protocol):
    """As NodeStep, for a cluster."""

    repeatable: bool

    async def intent(self, job: ClusterJob) -> Record: ...

    async def act(self, job: ClusterJob) -> Record: ...

    async def observe(self, job: ClusterJob) -> Record | None: ...


class Patience:
    """Waits for a condition with growing pauses until a deadline; the last reason becomes the error.

    `CTO_WAIT_LIMIT` (seconds) shortens every such deadline.
    """

    def __init__(self, clock: Clock, seconds: float, *, first: float = 0.1, longest: float = 2.0) -> None:
        self._clock, self._pause, self._longest = clock, first, longest
        # Somebody who knows that a machine is lost need not wait as long as for one that may be slow.
        self._seconds = min(seconds, float(os.environ.get("CTO_WAIT_LIMIT", seconds)))

    async def until(self, probe: Callable[[], Awaitable[T | str]], *, where: str, fix: str) -> T:
        """`probe` returns the wanted value, or a str that says why not yet.

        Retryable errors count as "not yet".
        Raises CheckFailed with the last reason when the time (seconds) is over.
        """
        end = self._clock.monotonic() + self._seconds
        while True:
            try:
                found = await probe()
                if not isinstance(found, str):
                    return found
                reason = found
            except FleetError as error:
                if not error.retryable:
                    raise
                reason = error.what
            if self._clock.monotonic() >= end:
                raise CheckFailed(f"{reason} (waited {self._seconds:.0f} s)", where=where, fix=fix)
            await self._clock.sleep(self._pause)
            self._pause = min(self._pause * 1.5, self._longest)
