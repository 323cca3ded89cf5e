"""SIGKILL and I/O errors at system calls, below SQLite, where no statement boundary helps."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.store import Store
from controller.store.home import Home
from tests.unit.store.support import ref

WRITES = "pwrite64,fdatasync,fsync,ftruncate"
# Opens the store of a copied home, says so, and does one step.
ACT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from controller.store.home import Home
from controller.store import StepRef, Store
from inventory.errors import StoreError
ids = iter("abcdefgh")
store = Store.open(Home(Path(sys.argv[1])), now=lambda: datetime.now(UTC), new_id=lambda: next(ids))
try:
    step = store.begin(StepRef("id-2", "node", "n1", "inspect"), detail={})
    print("begun", flush=True)
    store.finish(step, outcome="done", detail={})
    print("finished", flush=True)
except StoreError as error:
    print(error, flush=True)
    try:
        store.set_problem("node/n1", "the disk would do it now")
    except StoreError:
        sys.exit(9)
"""


def act(home: Home, injection: str) -> subprocess.CompletedProcess[str]:
    argv = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={WRITES}", "-e", f"inject={injection}"]
    return subprocess.run(
        [*argv, sys.executable, "-c", ACT, str(home.root)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.needs("strace")
def test_killed_at_any_write_nothing_promised_is_lost(
    engine: Store, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    """What `begin` or `finish` returned from is there afterwards; what they did not, is there whole or not at all."""
    engine.close()
    states: set[tuple[str, int]] = set()
    for when in itertools.count(1):
        home = Home(tmp_path / f"at-{when}")
        shutil.copytree(engine.home.root, home.root)
        done = act(home, f"{WRITES}:signal=KILL:when={when}")
        store = open_store(home)
        assert store._row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]
        assert store.audit_verify().ok
        state, steps = str(store.node("n1").state), store.steps("node/n1")  # type: ignore[union-attr]
        states.add((state, len(steps)))
        if "begun" in done.stdout:
            assert len(steps) == 1
        if "finished" in done.stdout:
            assert state == "inspected"
        assert (state == "inspected") == (len(steps) == 1 and steps[0].outcome == "done")
        if done.returncode == 0:
            break
    assert states == {("pinned", 0), ("pinned", 1), ("inspected", 1)}


@pytest.mark.fault
@pytest.mark.needs("strace")
@pytest.mark.parametrize("when", [1, 3, 4])  # the journal's header, begin, finish
def test_a_disk_that_fails_stops_us(engine: Store, when: int, open_store: Callable[..., Store]) -> None:
    engine.close()
    done = act(engine.home, f"fdatasync:error=EIO:when={when}")
    assert done.returncode == 9, done.stderr
    assert "can't be read or written" in done.stdout
    store = open_store()
    assert store.audit_verify().ok
    store.epoch = 1
    for step in store.open_steps():
        store.finish(step, outcome="indeterminate", detail={})
    store.begin(ref("inspect"), detail={})
