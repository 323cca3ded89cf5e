"""A home on a temporary path, a clock that a test reads, ids that count, and an engine with one node."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.store import Store
from controller.store.home import Home
from tests.unit.store.support import KEY_A, SteppingClock, fleet


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def open_store(home: Home, clock: SteppingClock) -> Iterator[Callable[..., Store]]:
    """Opens further stores on the same home, each as another program would; all are closed at the end."""
    counter = itertools.count(1)
    opened: list[Store] = []

    def open_one(at: Home = home, **options: bool) -> Store:
        store = Store.open(at, now=clock, new_id=lambda: f"id-{next(counter)}", **options)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


@pytest.fixture
def engine(store: Store) -> Store:
    """A store whose node n1 is pinned and declared, with an engine started and the run id-2 claimed."""
    store.declare(fleet("n1", host_keys={"n1": KEY_A}), actor="alice")
    store.start_engine(4711, ballast=4096)
    store.queue_run("apply", {}, actor="alice")
    store.next_run()
    return store
