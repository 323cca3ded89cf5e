"""`cto demo`: a home of its own, a lab of two sites, one apply, and fresh reads that say whether it worked.

Prints nothing; the page is served by a process of its own, which `stop_demo` ends together with the lab.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.app.apply import run_or_follow, submit
from controller.app.lab import lab_site_file, lab_up
from controller.app.plan import make_plan
from controller.app.services import Services
from controller.core.plan import Plan
from inventory.errors import BusyError, TransportError
from inventory.lifecycle import ClusterState
from inventory.resolve import load_files
from inventory.selectors import Selection
from iso.lab import client

SITES = (4, 1)  # an HA cluster with a worker, and a one-node appliance
ACTOR = "demo"
NAME, LOCK = "demo", "demo.lock"  # the home, and the file beside it that only one demo holds


@dataclass(frozen=True, slots=True)
class DemoResult:
    sites: int
    clusters: int
    nodes: int
    verified: int
    seconds: float
    state: str

    @property
    def worked(self) -> bool:
        """Exactly when every cluster was verified by fresh reads."""
        return self.state == "done" and self.verified == self.clusters

    def to_dict(self) -> dict[str, Any]:
        return {
            "sites": self.sites,
            "clusters": self.clusters,
            "nodes": self.nodes,
            "verified": self.verified,
            "seconds": round(self.seconds, 1),
        }


async def run_demo(
    services: Services, *, on_update: Callable[[], None], planned: Callable[[Plan], None], seed: str = ""
) -> DemoResult:
    """From nothing to verified clusters. `planned` gets the plan before anything is changed."""
    began = services.clock.monotonic()
    lab_up(services, SITES, seed=seed)
    file = lab_site_file(services.home.root)
    texts = {str(file): file.read_text(encoding="utf-8")}
    resolved, everything = load_files(texts), Selection()
    planned(await make_plan(services, resolved, everything))
    run = await run_or_follow(services, submit(services, texts, everything, actor=ACTOR), on_update)
    clusters = services.store.clusters()
    return DemoResult(
        sites=len(resolved.fleet.sites),
        clusters=len(resolved.fleet.clusters),
        nodes=len(resolved.fleet.nodes),
        verified=sum(c.state is ClusterState.READY for c in clusters),
        seconds=services.clock.monotonic() - began,
        state=run.state,
    )


def demo_home(root: Path) -> Path:
    """`demo` below $CTO_HOME; or $CTO_HOME itself where that is a demo's, as the demo says to set it."""
    return root if root.name == NAME and root.with_name(LOCK).exists() else root / NAME


@contextlib.contextmanager
def only_demo(home: Path) -> Iterator[None]:
    """One demo at a time in one home: a second one would take the first one's machines away under it."""
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home.with_name(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        what, fix = "another demo is running", "wait for its end, or press Ctrl-C where it runs"
        raise BusyError(what, where=str(home), fix=fix) from None
    try:
        yield
    finally:
        os.close(descriptor)


def clear_demo(home: Path) -> None:
    """Ends what an earlier demo left running and removes its home."""
    stop_demo(home)
    shutil.rmtree(home, ignore_errors=True)


def stop_demo(home: Path) -> bool:
    """Ends the page and the lab of a demo. False if nothing ran."""
    served = home / "serve.json"
    ran = served.exists()
    if ran:
        pid = int(json.loads(served.read_text(encoding="utf-8"))["pid"])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        served.unlink()
    if client.info(home) is not None:
        client.stop(home)
        ran = True
    return ran


def start_page(home: Path, port: int, *, seconds: float = 20) -> str:
    """Starts `cto serve` as a process of its own; its URL once it answers.

    Raises TransportError if it does not.
    """
    port = port if _free(port) else 0  # another page has it: any other will do
    log = home / "logs" / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from controller.cli.main import main; main()",
                "serve",
                "--port",
                str(port),
                "--output",
                "json",
            ],
            env={**os.environ, "CTO_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (home / "serve.json").write_text(json.dumps({"pid": process.pid}), encoding="utf-8")
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        lines = log.read_text(encoding="utf-8").splitlines()
        if lines and lines[0].startswith("{"):
            return str(json.loads(lines[0])["url"])
        time.sleep(0.05)
    raise TransportError("the page did not start", where=str(log), fix="see that file, or try another --port")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
