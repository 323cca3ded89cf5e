"""Three computers for the program to work with, none of them simulated by us. Needs root.

    operator ── 192.168.91.0/24 ── gate ── 192.168.92.0/24 ── far

Each is a network and mount namespace: `gate` runs Debian's sshd (a machine and a jump host at once) and a stock
avahi-daemon, `far` another sshd that the operator has no route to. `cto` runs as installed, on `operator`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.real.stage import Operator, Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="cto-real-") as folder:
        built = Stage(Path(folder))
        try:
            built.up()
            yield built
        finally:
            built.down()


@pytest.fixture
def operator(stage: Stage, tmp_path: Path) -> Operator:
    """A fresh home whose SSH key both machines let in, and which knows the key of the jump host."""
    made = Operator(stage, tmp_path / "home")
    made.introduce()
    return made
