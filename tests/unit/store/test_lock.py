"""One engine per home: a second is refused with the holder's pid, and kill -9 frees the lock."""

import os
import signal

import pytest

from controller.store.home import Home
from controller.store.lock import EngineLock, holder
from inventory.errors import BusyError


def hold(home: Home) -> tuple[int, int]:
    """A child that holds the lock; the pipe says when."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        EngineLock.acquire(home)
        os.write(writing, b"!")
        signal.pause()
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    return child, child


def test_a_second_engine_is_refused_and_kill_frees_the_lock(home: Home) -> None:
    child, pid = hold(home)
    try:
        with pytest.raises(BusyError, match=rf"pid {pid}\b"):
            EngineLock.acquire(home)
        assert holder(home) == pid
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert holder(home) == 0
    with EngineLock.acquire(home):
        assert holder(home) == os.getpid()


def test_a_released_lock_names_nobody(home: Home) -> None:
    lock = EngineLock.acquire(home)
    with pytest.raises(BusyError):
        EngineLock.acquire(home)
    lock.release()
    lock.release()
    assert holder(home) == 0
    EngineLock.acquire(home).release()


@pytest.mark.parametrize("text", ["", "nonsense", "999999999999"])
def test_a_strange_lock_file_names_nobody(home: Home, text: str) -> None:
    home.create()
    home.engine_lock.write_text(text)
    assert holder(home) == 0
