"""The pages of a large fleet under load: 50 viewers, 200 open event streams, and a writer meanwhile.

    .venv/bin/python -m benchmarks.pages [--nodes 10000] [--sites 200] [--events 1000000] [--seconds 60]
    .venv/bin/python -m benchmarks.pages --quick
    .venv/bin/python -m benchmarks.pages --report docs/reports/pages.md

The server is a process of its own, as `cto serve` makes it: uvicorn, Flask in threads. Viewers are connections of this
process that ask for one page after another, with two seconds between; its times include waiting for a thread and
reading the answer. The writer is a third process: 200 events a second, each a transaction that is on the disk, each
with the time of last sight of its node. CPU by page is measured first, with nobody else there.
"""

import argparse
import asyncio
import gzip
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages_cpu, pages_report
from benchmarks.pages_fleet import make

LISTS = (
    "/",
    "/sites",
    "/clusters",
    "/nodes",
    "/nodes?site=site-007&sort=-node",
    "/nodes?q=node-001",
    "/nodes?sort=-known",
    "/events",
    "/audit",
    "/audit?q=trade",
    "/calendar",
    "/rollouts",
    "/pending",
    "/updates",
    "/settings",
)
OTHERS = (
    "/nodes/node-00042",
    "/sites/site-001",
    "/clusters/cluster-001",
    "/rollouts/rollout-39",
    "/search?q=node-00012",
    "/api/v1/nodes?site=site-007",
    "/api/v1/events?after=1000",
    "/metrics",
)
PAGES = LISTS + OTHERS
VIEWERS, PAUSE, WRITES, WARM_UP = 50, 2.0, 200, 6.0
QUICK = {"nodes": 300, "sites": 10, "events": 2_000, "seconds": 2, "streams": 5, "viewers": 4}


def server(root: Path, ready: Any) -> None:
    """Serves until it is killed; tells port, cookie and its process."""
    import uvicorn

    from controller.app.people_admin import new_code
    from controller.wiring import open_services
    from web.asgi import build

    with open_services(root) as services:
        code = services.writing.run(lambda s: new_code(s, "local", actor="bench"))
        login = services.backend.access.enter(code, source="bench")

        async def run() -> None:
            config = uvicorn.Config(build(services.backend), port=0, log_level="warning", proxy_headers=False)
            running = uvicorn.Server(config)
            task = asyncio.ensure_future(running.serve())
            while not running.started:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            ready.put((running.servers[0].sockets[0].getsockname()[1], login.cookie, os.getpid()))
            await task

        asyncio.run(run())


def writer(root: Path, nodes: int, stop: Any, said: Any) -> None:
    """Records events and the last sight of their nodes, as an engine with much to do; tells how many a second."""
    from datetime import UTC, datetime

    from controller.store import Home, Store

    with Store.open(Home(root), now=lambda: datetime.now(UTC), new_id=lambda: "0" * 16) as store:
        began, number = time.monotonic(), 0
        while not stop.is_set():
            node = f"node-{number * 37 % nodes:05}"
            store.event("StepFinished", f"node/{node}", "verify by fresh reads")
            store.touch(node)
            number += 1
            time.sleep(max(0.0, began + number / WRITES - time.monotonic()))
        said.put(number / (time.monotonic() - began))


class Viewer:
    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.head = port, f"Host: 127.0.0.1:{port}\r\nCookie: cto-{port}={cookie}\r\n"
        self.took: dict[str, list[float]] = defaultdict(list)
        self.bodies: dict[str, bytes] = {}
        self.news = 0  # messages on the event streams

    async def get(
        self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, path: str
    ) -> tuple[int, bytes]:
        out.write(f"GET {path} HTTP/1.1\r\n{self.head}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        return int(head[9:12]), await reader.readexactly(length)

    async def stream(self) -> None:
        """An open page's event stream, which is read and otherwise left alone."""
        reader, out = await asyncio.open_connection("127.0.0.1", self.port)
        out.write(f"GET /live HTTP/1.1\r\n{self.head}\r\n".encode())
        try:
            while found := await reader.read(4096):
                self.news += found.count(b"data: ")
        finally:
            out.close()

    async def look(self, begin: float, end: float) -> None:
        reader, out = await asyncio.open_connection("127.0.0.1", self.port)
        order = random.sample(PAGES, len(PAGES))
        await asyncio.sleep(random.uniform(0, PAUSE))
        while time.monotonic() < end:
            for path in order:
                began = time.monotonic()
                status, body = await self.get(reader, out, path)
                if began > begin:
                    self.took[path].append(time.monotonic() - began)
                if status != 200:
                    raise SystemExit(f"{path}: {status}")
                self.bodies[path] = body
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
                if time.monotonic() >= end:
                    break
        out.close()


async def load(port: int, cookie: str, asked: argparse.Namespace) -> Viewer:
    begin = time.monotonic() + asked.warm_up  # what is measured from
    viewer, end = Viewer(port, cookie), begin + asked.seconds
    listeners = [asyncio.ensure_future(viewer.stream()) for _ in range(asked.streams)]
    await asyncio.gather(*(viewer.look(begin, end) for _ in range(asked.viewers)))
    for each in listeners:
        each.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    return viewer


def summary(viewer: Viewer) -> dict[str, Any]:
    rows = {
        path: {
            "requests": len(times),
            "p50_ms": round(statistics.median(times) * 1000, 1),
            "p95_ms": round(nth(times, 0.95) * 1000, 1),
            "kB": round(len(viewer.bodies[path]) / 1000, 1),
            "kB_gzip": round(len(gzip.compress(viewer.bodies[path])) / 1000, 1),
        }
        for path, times in sorted(viewer.took.items())
    }
    every = [each for times in viewer.took.values() for each in times]
    listed = {path: row for path, row in rows.items() if path in LISTS}
    worst = max(listed, key=lambda path: float(listed[path]["p95_ms"]), default="")
    return {
        "pages": rows,
        "requests": len(every),
        "p95_ms": round(nth(every, 0.95) * 1000, 1),
        "lists_p95_ms": round(nth([t for path in listed for t in viewer.took[path]], 0.95) * 1000, 1),
        "worst_list": worst,
        "worst_list_p95_ms": listed[worst]["p95_ms"] if worst else 0.0,
        "heaviest_kB": max((float(row["kB"]) for row in listed.values()), default=0.0),
        "news": viewer.news,
    }


def nth(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def cpu_seconds(pid: int) -> float:
    """Of one process so far, user and system; it counts the same on a machine with other work."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def measure(root: Path, asked: argparse.Namespace) -> dict[str, Any]:
    cpu = pages_cpu.by_page(root, PAGES, repeat=asked.repeat)
    context = multiprocessing.get_context("spawn")
    ready, said, stop = context.Queue(), context.Queue(), context.Event()
    served = context.Process(target=server, args=(root, ready), daemon=True)
    writing = context.Process(target=writer, args=(root, asked.nodes, stop, said), daemon=True)
    served.start()
    try:
        port, cookie, pid = ready.get(timeout=300)
        writing.start()
        before, began = cpu_seconds(pid), time.monotonic()
        found = summary(asyncio.run(load(port, cookie, asked)))
        found["cpu_cores"] = round((cpu_seconds(pid) - before) / (time.monotonic() - began), 2)
        stop.set()
        found["events_a_second"] = round(said.get(timeout=60), 1)
        status = Path(f"/proc/{pid}/status").read_text()
        found["peak_MiB"] = next(
            int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line
        )
    finally:
        for process in (served, writing):
            if process.pid is not None:
                process.terminate()
                process.join(10)
    for path, row in found["pages"].items():
        row["cpu_ms"] = cpu[path]
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    numbers = {
        "nodes": 10_000,
        "sites": 200,
        "events": 1_000_000,
        "seconds": 60,
        "streams": 200,
        "viewers": VIEWERS,
    }
    for name, usual in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--quick", action="store_true", help="a small fleet and two seconds: does it work?")
    parser.add_argument("--report", type=Path, help="write this Markdown file as well")
    asked = parser.parse_args(argv)
    asked.warm_up, asked.repeat = WARM_UP, 20
    if asked.quick:
        vars(asked).update(QUICK, warm_up=0.0, repeat=2)
    load_before = round(os.getloadavg()[0], 1)
    os.nice(5)  # the load is not to take the place of what is measured
    with tempfile.TemporaryDirectory(prefix="cto-pages-") as folder:
        root = Path(folder) / "home"
        make(root, sites=asked.sites, nodes=asked.nodes, events=asked.events)
        found = measure(root, asked)
    found["load_before"] = load_before
    found["asked"] = {name: value for name, value in vars(asked).items() if name != "report"}
    if asked.report:
        asked.report.write_text(pages_report.markdown(found), encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
