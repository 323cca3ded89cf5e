"""The machine's clock, and what its kernel says of it."""

import ctypes

from controller.adapters.clock import SystemClock, synchronized


def test_asking_the_kernel_sets_nothing_and_agrees_with_it():
    """adjtimex(2) as the adapter calls it, against ntp_adjtime(3): another door to the same answer."""
    room = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None).ntp_adjtime(room)
    assert synchronized() == (0 <= state < 5)


async def test_time_is_aware_and_goes_on():
    clock = SystemClock()
    before, mark = clock.now(), clock.monotonic()
    await clock.sleep(0)
    assert clock.now().utcoffset().total_seconds() == 0
    assert clock.now() >= before
    assert clock.monotonic() >= mark
