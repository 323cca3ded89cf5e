"""What the store's tests share that is no fixture: keys, a small fleet, step references."""

import os
import signal
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.store import StepRef, Store
from inventory.fleet import Cluster, Fleet, Node, Site

FIXTURES = Path(__file__).parents[2] / "fixtures" / "store"
KEY_A = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
KEY_B = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"


class SteppingClock:
    """Goes on by one second each time it is read."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def fleet(*names: str, host_keys: dict[str, str] | None = None, address: str = "127.0.0.2") -> Fleet:
    keys = host_keys or {}
    nodes = {
        name: Node(name, "berlin", "kn", "controlplane", address=address, host_key=keys.get(name, ""))
        for name in names
    }
    return Fleet(
        "acme",
        {"berlin": Site("berlin", "acme", "Europe/Berlin", ("kn",))},
        {"kn": Cluster("kn", "berlin", "https://127.0.0.2:6443", "1.36.3", tuple(names))},
        nodes,
    )


def ref(step: str, *, subject: str = "n1", kind: str = "node", run: str = "id-2") -> StepRef:
    return StepRef(run, kind, subject, step)  # type: ignore[arg-type]


def through(store: Store, *steps: str) -> None:
    """Does these steps, each at the first attempt."""
    for step in steps:
        store.finish(store.begin(ref(step), detail={}), outcome="done", detail={})


def killed_at(statement: int, act: Callable[[Callable[[sqlite3.Connection], None]], None]) -> bool:
    """Runs `act` in a child process that kills itself (SIGKILL) before its nth SQL statement.

    `act` gets a function that arms a connection. False if it ended before that many statements.
    """
    child = os.fork()
    if child == 0:
        seen = 0

        def count(_sql: str) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            act(lambda connection: connection.set_trace_callback(count))
        except BaseException:  # the child must never return into the test
            os._exit(70)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed before it was killed"
    return os.WIFSIGNALED(status)
