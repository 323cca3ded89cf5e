"""The home is private, files in it too, and there is room to record how a step ends."""

import asyncio
import stat
from datetime import UTC
from pathlib import Path

import pytest

from controller.adapters.clock import SystemClock
from controller.store import Store
from controller.store.home import Home, write_private
from inventory.errors import OperatorError, StoreError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_where_it_is(tmp_path: Path) -> None:
    assert Home.locate(tmp_path, environ={"CTO_HOME": "/else"}).root == tmp_path
    assert Home.locate(environ={"CTO_HOME": str(tmp_path)}).root == tmp_path
    assert Home.locate(environ={}).root.name == "cto"
    assert Home.locate(environ={"CTO_HOME": "relative"}).root.is_absolute()


def test_everything_in_it_is_private(store: Store) -> None:
    store.progress("node/n1", "x", 1, 2)
    store.backup(store.home.backups / "b.db")
    files = [path for path in store.home.root.rglob("*") if path.is_file()]
    assert {"fleet.db", "fleet.db-wal", "fleet.db-shm", "key", "b.db"} <= {path.name for path in files}
    assert {path.name: oct(mode(path)) for path in files if mode(path) != 0o600} == {}
    assert (mode(store.home.root), mode(store.home.backups)) == (0o700, 0o700)


def test_a_home_that_others_can_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(OperatorError, match="somebody else"):
        Home(tmp_path).create()


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_private(path, b"one")
    write_private(path, b"two")
    assert (path.read_bytes(), mode(path), list(path.parent.iterdir())) == (b"two", 0o600, [path])


def test_the_reserve_is_real_and_given_back_once(home: Home) -> None:
    home.create()
    home.reserve_ballast(64 * 1024)
    assert home.ballast.stat().st_blocks * 512 >= 64 * 1024
    assert home.release_ballast()
    assert not home.release_ballast()


def test_no_room_for_the_reserve(home: Home) -> None:
    home.create()
    with pytest.raises(StoreError, match="no room for new steps"):
        home.reserve_ballast(1 << 60)
    assert not home.has_ballast()


async def test_the_clock_is_utc() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await asyncio.wait_for(clock.sleep(0), 1)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before
