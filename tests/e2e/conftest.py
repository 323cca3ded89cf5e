"""Labs and controller homes for end-to-end tests. Everything goes through the program, as a user would.

`farm` is one lab of one-node sites for all tests of a worker: each case takes a machine of its own and gets a
controller home of its own. `make_lab` starts a lab for one test. Nothing is shared but machines not yet used.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Case, Farm, FarmHome, LabHome, Way

MACHINES = 150  # the most that one worker can use up when it gets every case
FLEETS = 20  # as above, of two sites each


@pytest.fixture(scope="session")
def farm() -> Iterator[Farm]:
    """One lab process with many one-node sites; ended with the session."""
    made = Farm.start(Path(tempfile.mkdtemp(prefix="cto-farm-")), (1,) * MACHINES)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def fleet_farm() -> Iterator[Farm]:
    """As `farm`: three control planes and a worker at one site, an appliance at the next, and so on."""
    made = Farm.start(Path(tempfile.mkdtemp(prefix="cto-farm-")), (4, 1) * FLEETS)
    yield made
    made.stop()


@pytest.fixture
def fleet(fleet_farm: Farm) -> Iterator[FarmHome]:
    """Machines of the two clusters of a demo that nobody used yet, and a home that knows only these."""
    taken = fleet_farm.take_sites(2)
    yield taken
    taken.close()


@pytest.fixture
def unpinned(farm: Farm) -> Iterator[Case]:
    """As `case`, of a machine that no operator pinned yet."""
    taken = farm.take(pinned=False)
    yield taken
    taken.close()


@pytest.fixture
def case(farm: Farm) -> Iterator[Case]:
    """A machine nobody used yet, and a home that knows only this one."""
    taken = farm.take()
    yield taken
    taken.close()


@pytest.fixture
def take(farm: Farm) -> Iterator[Callable[[Way], Case]]:
    """As `case`, for a way of delivery."""
    taken: list[Case] = []

    def one(way: Way) -> Case:
        taken.append(farm.take(way))
        return taken[-1]

    yield one
    for case in taken:
        case.close()


@pytest.fixture
def make_lab() -> Iterator[Callable[..., LabHome]]:
    """`make_lab("4,1")`: a lab of two sites with its own home. Taken down afterwards."""
    made: list[LabHome] = []
    numbers = itertools.count()

    def build(mixed: str, *extra: str) -> LabHome:
        lab = LabHome(Path(tempfile.mkdtemp(prefix="cto-e2e-")))
        made.append(lab)
        lab.up(mixed, *extra, seed=f"{lab.home}/{next(numbers)}")
        return lab

    yield build
    for lab in made:
        lab.cto("lab", "down")
        shutil.rmtree(lab.home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says must not reach the program under test."""
    for name in [n for n in os.environ if n.startswith("CTO_")]:
        monkeypatch.delenv(name)
