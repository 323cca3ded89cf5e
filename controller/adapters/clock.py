"""The machine's clock, as the `Clock` port, and what the kernel says of it. Does not judge whether the time
is right: `cto doctor` and the maintenance calendar do.
"""

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


_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
_TIMEX = 512  # bytes; more than struct timex has on any Linux


def synchronized() -> bool:
    """Does the kernel say that a time service keeps the clock in step? False where it can't be asked."""
    import ctypes

    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):
        return False
    # All zero: modes = 0 asks and sets nothing.
    return 0 <= int(adjtimex(ctypes.create_string_buffer(_TIMEX))) < _TIME_ERROR
