"""The pages of a large fleet under load: 50 viewers, and a writer that records 200 events a second meanwhile.

    nice .venv/bin/python -m benchmarks.pages [--nodes 10000] [--sites 200] [--events 1000000] [--seconds 30]

The server is a process of its own (uvicorn, four threads for Flask, as `cto serve`); viewers are connections of this
process that ask for one page after another with two seconds between, in turn; each has an open event stream
besides. Prints p50, p95 and page weight by page, and the server's memory. "Server time" includes waiting for a
thread and this process reading the answer, so it is what a viewer would see on a fast network.
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
from pathlib import Path
from typing import Any

from benchmarks.pages_fleet import make

PAGES = (
    "/",
    "/sites",
    "/clusters",
    "/nodes",
    "/nodes?site=site-007&sort=-node",
    "/nodes?q=node-001",
    "/nodes/node-00042",
    "/sites/site-001",
    "/clusters/cluster-001",
    "/events",
    "/audit",
    "/calendar",
    "/search?q=node-00012",
)
VIEWERS, PAUSE, WRITES, WARM_UP = 50, 2.0, 200, 6.0


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


def writer(root: Path, seconds: float) -> None:
    """Records events and moves nodes' last sight, as an engine with much to do."""
    from datetime import UTC, datetime

    from controller.store import Home, Store

    with Store.open(Home(root), now=lambda: datetime.now(UTC), new_id=lambda: "0" * 16) as store:
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            began = time.monotonic()
            for _ in range(20):
                number += 1
                store.event("StepFinished", f"node/node-{number % 10_000:05}", "verify by fresh reads")
            time.sleep(max(0.0, 20 / WRITES - (time.monotonic() - began)))


class Viewer:
    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.head = port, f"Host: 127.0.0.1:{port}\r\nCookie: cto-{port}={cookie}\r\n"

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
            while await reader.read(4096):
                pass
        finally:
            out.close()

    async def look(
        self, begin: float, end: float, took: dict[str, list[float]], sizes: dict[str, tuple[int, int]]
    ) -> None:
        reader, out = await asyncio.open_connection("127.0.0.1", self.port)
        order = random.sample(PAGES, len(PAGES))
        await asyncio.sleep(random.uniform(0, PAUSE))
        while time.monotonic() < end:
            for path in order:
                began = time.monotonic()
                status, body = await self.get(reader, out, path)
                if began > begin:
                    took[path].append(time.monotonic() - began)
                if status != 200:
                    raise SystemExit(f"{path}: {status}")
                sizes[path] = len(body), len(gzip.compress(body))
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
                if time.monotonic() >= end:
                    break
        out.close()


async def load(port: int, cookie: str, seconds: float, streams: int) -> dict[str, Any]:
    took: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, tuple[int, int]] = {}
    begin = time.monotonic() + WARM_UP  # what is measured from
    viewer, end = Viewer(port, cookie), begin + seconds
    listeners = [asyncio.ensure_future(viewer.stream()) for _ in range(streams)]
    await asyncio.gather(*(viewer.look(begin, end, took, sizes) for _ in range(VIEWERS)))
    for each in listeners:
        each.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    rows = {
        path: {
            "requests": len(times),
            "p50_ms": round(statistics.median(times) * 1000, 1),
            "p95_ms": round(sorted(times)[int(len(times) * 0.95)] * 1000, 1),
            "kB": round(sizes[path][0] / 1000, 1),
            "kB_gzip": round(sizes[path][1] / 1000, 1),
        }
        for path, times in sorted(took.items())
    }
    every = sorted(each for times in took.values() for each in times)
    return {"pages": rows, "requests": len(every), "p95_ms": round(every[int(len(every) * 0.95)] * 1000, 1)}


def cpu_seconds(pid: int) -> float:
    """Of one process so far, user and system; it counts the same on a machine with other work."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, usual in (
        ("nodes", 10_000),
        ("sites", 200),
        ("events", 1_000_000),
        ("seconds", 30),
        ("streams", 200),
    ):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cto-pages-") as folder:
        root = Path(folder) / "home"
        make(root, sites=asked.sites, nodes=asked.nodes, events=asked.events)
        context = multiprocessing.get_context("spawn")
        ready = context.Queue()
        served = context.Process(target=server, args=(root, ready), daemon=True)
        served.start()
        port, cookie, pid = ready.get(timeout=120)
        writing = context.Process(target=writer, args=(root, asked.seconds + WARM_UP + 5), daemon=True)
        writing.start()
        before = cpu_seconds(pid)
        found = asyncio.run(load(port, cookie, asked.seconds, asked.streams))
        found["cpu_cores"] = round((cpu_seconds(pid) - before) / (asked.seconds + WARM_UP), 2)
        status = Path(f"/proc/{pid}/status").read_text()
        found["peak_MiB"] = next(
            int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line
        )
        found["asked"] = vars(asked)
        for process in (writing, served):
            process.terminate()
            process.join(10)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
