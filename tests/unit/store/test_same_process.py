"""Several stores in one process, and other programs that come and go: nobody's locks are lost.

POSIX drops all locks of a process on a file as soon as the process closes any descriptor of it. A lock that was
lost lets another program believe it is the last one, and remove the journal under those who still write to it.
"""

import subprocess
import sys
from collections.abc import Callable

from controller.store import Store, StoreQueries
from controller.store.home import Home

PASSER_BY = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from controller.store import Home, Store
with Store.open(Home(Path(sys.argv[1])), now=lambda: datetime.now(UTC), new_id=lambda: "x") as store:
    store.event("Passed", "controller", "a program that came and went")
"""


def pass_by(home: Home) -> None:
    subprocess.run([sys.executable, "-c", PASSER_BY, str(home.root)], check=True)


def test_a_second_store_costs_the_first_no_lock(home: Home, open_store: Callable[..., Store]) -> None:
    first = open_store()
    first.event("A", "controller", "before")
    with StoreQueries(home) as queries:
        assert len(queries.events()) >= 1
        second = open_store()
        second.event("B", "controller", "from the same process")
        journal = home.database.with_name("fleet.db-wal")
        inode = journal.stat().st_ino
        pass_by(home)
        assert journal.stat().st_ino == inode, "the journal was removed under us"
        first.event("C", "controller", "after")
        second.event("D", "controller", "after")
        kinds = [event.kind for event in queries.events()]
        assert kinds[-5:] == ["A", "B", "Passed", "C", "D"]
    pass_by(home)
    assert [event.kind for event in first.events()][-6:] == ["A", "B", "Passed", "C", "D", "Passed"]
