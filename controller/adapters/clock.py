"""The machine's clock, as the `Clock` port. Does not judge whether the time is right: `cto doctor` does."""

import time
from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)
